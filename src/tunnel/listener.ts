import { AwlError, errorText } from '../errors.js';
import { formatEndpoint } from '../util/endpoint.js';
import type { LocalSpec } from '../wire/tunnel-target.js';

/** What listens for one import, or for programs that ask a proxy. */
export interface Listener {
  /** `address:port`, `udp:address:port`, the path of a Unix socket, or `socks5://address:port`. */
  readonly at: string;
  close(): Promise<void>;
}

/** The local end of an import or a proxy that cannot be had. */
export function bindError(local: LocalSpec, cause: unknown, option = '--import'): AwlError {
  const name = 'path' in local ? local.path : formatEndpoint(local);
  return new AwlError('TUNNEL_BIND', `cannot listen on ${name} for ${option}: ${errorText(cause)}`, {
    hint: cureOf(local, cause, option),
    cause,
  });
}

function cureOf(local: LocalSpec, cause: unknown, option: string): string {
  const code = (cause as NodeJS.ErrnoException | null)?.code;
  if ('path' in local) {
    return code === 'EADDRINUSE'
      ? 'another program listens there, or it is no socket: choose another path'
      : 'its folder must be there, and you must be allowed to write into it';
  }
  if (code === 'EADDRNOTAVAIL') return 'the address is none of this machine; leave it out for 127.0.0.1';
  if (code === 'EACCES')
    return 'ports under 1024 need rights that you do not have: choose a higher local port';
  return `choose another local port: ${option === '--import' ? '--import LOCALPORT:REMOTEPORT' : `${option} PORT`}`;
}
