import { AwlError, errorText } from '../errors.js';
import { formatEndpoint } from '../util/endpoint.js';
import type { LocalSpec } from '../wire/tunnel-target.js';

/** What listens for one import, or for programs that ask a proxy. */
export interface Listener {
  /** `address:port`, the path of a Unix socket, or `socks5://address:port`. */
  readonly at: string;
  close(): Promise<void>;
}

/** The local end of an import or a proxy that cannot be had. */
export function bindError(local: LocalSpec, cause: unknown, option = '--import'): AwlError {
  const name = 'path' in local ? local.path : formatEndpoint(local);
  return new AwlError('TUNNEL_BIND', `cannot listen on ${name} for ${option}: ${errorText(cause)}`, {
    hint:
      'path' in local
        ? 'remove the file if no program uses it, or choose another path'
        : `choose another local port: ${option === '--import' ? '--import LOCALPORT:REMOTEPORT' : `${option} PORT`}`,
    cause,
  });
}
