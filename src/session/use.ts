import { AwlError } from '../errors.js';
import type { Logger } from '../log.js';
import type { Opened } from '../rendezvous/sealing.js';
import type { SessionSettings } from './settings.js';

/** What a side hands the passage to; a side that says nothing may do either. */
export type Use = 'program' | 'tunnel';

/** A program that may speak the tunnel's tubus is none of awl's business: then nothing is said. */
export function ownUse({ exec, tunnel }: Pick<SessionSettings, 'exec' | 'tunnel'>): Use | undefined {
  if (tunnel) return tunnel.tubus ? undefined : 'tunnel';
  return exec ? 'program' : undefined;
}

/** What a verified message says, by the words of the same name in its `caps`. */
export function peerUse({ extension }: Opened): Use | undefined {
  if (extension?.caps.includes('tunnel')) return 'tunnel';
  return extension?.caps.includes('program') ? 'program' : undefined;
}

/**
 * A tunnel has nobody to talk to where the peer starts a program; a program may still have use of the path.
 * @throws AwlError TUNNEL_REFUSED
 */
export function checkUse(own: Use | undefined, peer: Use | undefined, log: Logger): void {
  if (own === 'tunnel' && peer === 'program') {
    throw new AwlError('TUNNEL_REFUSED', 'the peer starts a program and no tunnel', {
      hint: 'the peer has --exec-command, this side --export, --import, --socks5 or --stdio: both need the same kind',
    });
  }
  if (own === 'program' && peer === 'tunnel') {
    log.warning(
      'the peer opens the built-in tunnel (--export, --import, --socks5 or --stdio), this side starts a program ' +
        '(--exec-command): both need the same kind',
    );
  }
}
