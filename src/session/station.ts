import type { Logger } from '../log.js';
import { NatWatch } from './nat-watch.js';
import type { PunchSettings } from './punching.js';
import { RouterWatch } from './routers.js';
import type { SessionSettings } from './settings.js';
import { Side } from './side.js';

/** What a side asks of the settings. */
export type StationSettings = PunchSettings &
  Pick<SessionSettings, 'stun' | 'bind' | 'candidates' | 'portMapping' | 'tcp'>;

/**
 * What a process keeps ready that carries the messages of its sessions itself: it has measured its NAT and looked for
 * a router before anybody asks, so that a side of a session takes one round trip to a STUN server.
 */
export class Station {
  readonly settings: StationSettings;
  readonly #log: Logger;
  readonly #nat: NatWatch | undefined;
  readonly #routers: RouterWatch | undefined;
  readonly #end = new AbortController();

  constructor(settings: StationSettings, log: Logger) {
    const { stun, bind, portMapping, allowLoopback } = settings;
    this.settings = settings;
    this.#log = log;
    if (stun.length > 0) this.#nat = new NatWatch(stun, bind.address, log, this.#end.signal);
    if (portMapping && !allowLoopback) this.#routers = new RouterWatch(log);
    this.#nat?.current();
    this.#routers?.current();
  }

  /**
   * Opens sockets and finds out where they are seen. The caller closes the side, or has it meet its peer.
   * @throws AwlError UDP_BIND, STUN_UNREACHABLE where there is no address at all; the signal's reason
   */
  side(signal: AbortSignal): Promise<Side> {
    const ended = AbortSignal.any([signal, this.#end.signal]);
    return Side.open({
      settings: this.settings,
      ...(this.#nat && { nat: this.#nat }),
      ...(this.#routers && { routers: this.#routers }),
      log: this.#log,
      signal: ended,
    });
  }

  /** Ends what runs beside; sides live on. Idempotent. */
  close(): void {
    this.#end.abort(new Error('the process ends'));
    this.#routers?.close();
  }
}
