import type { Logger } from '../log.js';
import { PortLease } from '../stun/portmap/lease.js';
import { SEARCH_LIFE_MS } from '../stun/portmap/limits.js';
import { type RouterSearch, searchRouters } from '../stun/portmap/search.js';
import { classOf } from '../stun/sanity.js';
import type { Endpoint } from '../util/endpoint.js';

/** The routers of one process that forward ports: searched for beside the sessions, so that none waits for it twice. */
export class RouterWatch {
  readonly #log: Logger;
  readonly #end = new AbortController();
  #search: RouterSearch | undefined;
  #searchedAt = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** The search under way, or the last one if it is not too old. */
  current(): RouterSearch {
    if (!this.#search || performance.now() - this.#searchedAt > SEARCH_LIFE_MS) {
      this.#search = searchRouters(this.#log, this.#end.signal);
      this.#searchedAt = performance.now();
    }
    return this.#search;
  }

  /** Asks for a port in front of this socket; nothing where no router can be meant. The caller closes the lease. */
  lease(local: Endpoint, log: Logger): PortLease | undefined {
    const kind = classOf(local.address);
    // 0.0.0.0 is "unusable": bound to no address in particular.
    if (local.address !== '0.0.0.0' && kind !== 'private') return undefined;
    return new PortLease({ search: this.current(), port: local.port, log });
  }

  close(): void {
    this.#end.abort(new Error('the process ends'));
  }
}
