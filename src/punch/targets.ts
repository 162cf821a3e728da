import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import type { PathOrigin, Place } from './path.js';
import type { Attempt, Plan } from './plan.js';

/** What a plan says of the places that datagrams come from: did the peer name them, and which rung leads there? */
export class Targets {
  /** The addresses that openers may go to. */
  readonly addresses: ReadonlySet<string>;
  readonly #attempts: readonly Attempt[];
  readonly #announced: ReadonlySet<string>;
  /** Ports that a sweep has tried. */
  readonly #swept = new Set<number>();

  constructor({ attempts }: Plan, reference: Endpoint) {
    this.#attempts = attempts;
    const named = attempts.flatMap(({ rung, target }) =>
      target.kind === 'endpoint' && rung !== 'predicted' ? [target.endpoint] : [],
    );
    this.#announced = new Set([reference, ...named].map(formatEndpoint));
    const addresses = attempts.map(({ target }) =>
      target.kind === 'endpoint' ? target.endpoint.address : target.address,
    );
    this.addresses = new Set([reference.address, ...addresses]);
  }

  /** A probe of a wide attempt went to that port. */
  probed(port: number): void {
    this.#swept.add(port);
  }

  /** Is it at an address that openers may go to? */
  knows({ address, port }: Endpoint): boolean {
    return this.addresses.has(address) && port >= MIN_PORT;
  }

  originOf({ socket, endpoint }: Place): PathOrigin {
    const key = formatEndpoint(endpoint);
    const announced = this.#announced.has(key);
    const attempt = this.#attempts.find(
      (one) => socket >= one.socket && socket < one.socket + one.sockets && this.#leadsTo(one, endpoint, key),
    );
    return { announced, ...(attempt && { rung: attempt.rung }) };
  }

  #leadsTo({ target }: Attempt, endpoint: Endpoint, key: string): boolean {
    if (target.kind === 'endpoint') return formatEndpoint(target.endpoint) === key;
    if (target.address !== endpoint.address) return false;
    return target.kind === 'ports' ? target.ports.includes(endpoint.port) : this.#swept.has(endpoint.port);
  }
}

/** No NAT maps a peer below (RFC 4787 REQ-3), but services live there. */
const MIN_PORT = 1024;
