import { AwlError, errorText } from '../errors.js';
import { formatEndpoint } from '../util/endpoint.js';
import type { LocalSpec } from '../wire/tunnel-target.js';

/** What listens for one import. */
export interface Listener {
  /** `address:port`, or the path of a Unix socket. */
  readonly at: string;
  close(): Promise<void>;
}

/** The local end of an import that cannot be had. */
export function bindError(local: LocalSpec, cause: unknown): AwlError {
  const name = 'path' in local ? local.path : formatEndpoint(local);
  return new AwlError('TUNNEL_BIND', `cannot listen on ${name} for --import: ${errorText(cause)}`, {
    hint:
      'path' in local
        ? 'remove the file if no program uses it, or choose another path'
        : 'choose another local port: --import LOCALPORT:REMOTEPORT',
    cause,
  });
}
