import { randomBytes } from 'node:crypto';
import { errorText } from '../../errors.js';
import type { Logger } from '../../log.js';
import { type Endpoint, formatEndpoint, sameEndpoint } from '../../util/endpoint.js';
import { deadline, sleep } from '../../util/sleep.js';
import { PCP_NONCE_BYTES } from '../../wire/pcp.js';
import { classOf } from '../sanity.js';
import { LEASE_MAX_S, LEASE_MIN_S, LEASE_S, MAP_MS, UNMAP_MS } from './limits.js';
import type { Granted, MapRequest, PortMapper } from './mapper.js';
import type { RouterSearch } from './search.js';

export interface LeaseOptions {
  readonly search: RouterSearch;
  /** Local UDP port to map. */
  readonly port: number;
  readonly log: Logger;
  /** Seconds that are asked for; default LEASE_S. */
  readonly lifetimeS?: number;
  /** Seconds; default LEASE_MIN_S. */
  readonly shortestS?: number;
}

/**
 * A port that the router forwards to one of ours, for as long as the lease is not closed: mapped by the first protocol that
 * does it, renewed at half time, removed at the end.
 */
export class PortLease {
  /** When a port is mapped, or will not be. Never rejects. */
  readonly settled: Promise<void>;
  /** Why there is no use in it, as a sentence; undefined as long as nothing is wrong. */
  problem: string | undefined;
  readonly #options: LeaseOptions;
  readonly #request: MapRequest;
  readonly #end = new AbortController();
  readonly #life: Promise<void>;
  #asking = false;
  #held: { readonly mapper: PortMapper; granted: Granted } | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: LeaseOptions) {
    this.#options = options;
    const { port, lifetimeS = LEASE_S } = options;
    this.#request = { port, wanted: port, lifetimeS, nonce: randomBytes(PCP_NONCE_BYTES) };
    this.settled = this.#open().catch((error) => options.log.debug(`no port mapping: ${errorText(error)}`));
    this.#life = this.settled.then(() => this.#renew()).catch(() => {});
  }

  /** Where the router takes datagrams for us, as far as it is known now. */
  get external(): Endpoint | undefined {
    return this.#held?.granted.external;
  }

  get protocol(): PortMapper['protocol'] | undefined {
    return this.#held?.mapper.protocol;
  }

  get router(): Pick<PortMapper, 'gateway' | 'name'> | undefined {
    return this.#held?.mapper;
  }

  /** Ends the lease and takes the mapping back, which may take UNMAP_MS. Idempotent, never rejects. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #open(): Promise<void> {
    const { search } = this.#options;
    const first = await search.first;
    if (!first || (await this.#try(first))) return;
    for (const mapper of await search.all) {
      if (mapper === first) continue;
      if (this.#end.signal.aborted || (await this.#try(mapper))) return;
    }
  }

  /** True if the port is mapped, or cannot usefully be by this router whatever the protocol. */
  async #try(mapper: PortMapper): Promise<boolean> {
    const { log } = this.#options;
    const name = `${mapper.protocol} at ${mapper.gateway}`;
    try {
      const granted = await this.#map(mapper);
      this.problem = whyUseless(granted, mapper);
      if (this.problem !== undefined) {
        log.info(this.problem);
        await this.#unmap(mapper, granted);
        return true;
      }
      this.#held = { mapper, granted };
      log.info(
        `the router forwards ${formatEndpoint(granted.external)} to port ${this.#request.port} (${name})`,
      );
      return true;
    } catch (error) {
      this.#end.signal.throwIfAborted();
      this.problem = `the router maps no port (${name}): ${errorText(error)}`;
      log.debug(this.problem);
      return false;
    }
  }

  async #map(mapper: PortMapper, wanted = this.#request.wanted): Promise<Granted> {
    const limit = deadline(MAP_MS, () => new Error('no answer in time'), this.#end.signal);
    this.#asking = true;
    try {
      return await mapper.map({ ...this.#request, wanted }, limit.signal);
    } finally {
      this.#asking = false;
      limit.dispose();
    }
  }

  /** Asks again at half of what is left, until the lease is over: a router may be away for a while. */
  async #renew(): Promise<void> {
    const { log } = this.#options;
    const { signal } = this.#end;
    const held = this.#held;
    if (!held) return;
    const { shortestS = LEASE_MIN_S } = this.#options;
    let until = expiry(held.granted, shortestS);
    while (until !== Number.POSITIVE_INFINITY) {
      const left = until - performance.now();
      if (left < shortestS * 250) break;
      await sleep(left / 2, signal);
      try {
        const granted = await this.#map(held.mapper, held.granted.external.port);
        if (!sameEndpoint(granted.external, held.granted.external)) {
          const [now, before] = [granted.external, held.granted.external].map(formatEndpoint);
          log.warning(`the router forwards ${now} now instead of ${before}`);
        }
        held.granted = granted;
        until = expiry(granted, shortestS);
      } catch (error) {
        signal.throwIfAborted();
        log.debug(`the port mapping was not renewed: ${errorText(error)}`);
      }
    }
    if (until !== Number.POSITIVE_INFINITY)
      log.warning('the port mapping has run out: the router renews it no more');
  }

  async #close(): Promise<void> {
    // What the router was asked for already it must be asked to take back, so it gets the time to answer.
    if (this.#asking) await Promise.race([this.settled, sleep(UNMAP_MS)]);
    this.#end.abort(new Error('the port mapping is not needed any more'));
    await this.#life;
    const held = this.#held;
    this.#held = undefined;
    if (held) await this.#unmap(held.mapper, held.granted);
  }

  async #unmap(mapper: PortMapper, granted: Granted): Promise<void> {
    const limit = deadline(UNMAP_MS, () => new Error('no answer in time'));
    try {
      await mapper.unmap(this.#request, granted, limit.signal);
      this.#options.log.debug(`port mapping ${formatEndpoint(granted.external)} removed`);
    } catch (error) {
      this.#options.log.debug(`the port mapping was not removed: ${errorText(error)}`);
    } finally {
      limit.dispose();
    }
  }
}

/** When a lease is over, of the clock of `performance`; what is absurdly short or long is taken for a bound. */
function expiry({ lifetimeS }: Granted, shortestS: number): number {
  if (lifetimeS === Number.POSITIVE_INFINITY) return lifetimeS;
  return performance.now() + Math.min(LEASE_MAX_S, Math.max(shortestS, lifetimeS)) * 1000;
}

/** A sentence, if what the router granted helps nobody. */
function whyUseless({ external }: Granted, { gateway, protocol }: PortMapper): string | undefined {
  const kind = classOf(external.address);
  if (kind === 'private') {
    return `the router at ${gateway} is itself behind a NAT (its outside address is ${external.address}): a port mapped there (${protocol}) cannot be reached`;
  }
  if (kind !== 'public' || external.port < 1024) {
    return `the router at ${gateway} forwards ${formatEndpoint(external)} (${protocol}), which nobody can reach`;
  }
  return undefined;
}
