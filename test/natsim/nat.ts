import { type Endpoint, formatEndpoint } from '../../src/util/endpoint.js';
import type { Random } from './random.js';

/** RFC 4787 sections 4.1 and 5. */
export type Behaviour = 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent';
export const BEHAVIOURS: readonly Behaviour[] = [
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
];
/** RFC 4787 section 4.2. */
export type PortAllocation = 'preserve' | 'random' | 'sequential';
export const ALLOCATIONS: readonly PortAllocation[] = ['preserve', 'random', 'sequential'];

export interface NatType {
  readonly mapping: Behaviour;
  readonly filtering: Behaviour;
  readonly ports: PortAllocation;
  /** A stray datagram occupies its pair of endpoints: what goes out to there later gets another port. */
  readonly hostile?: boolean;
}

interface Entry {
  readonly inside: Endpoint;
  readonly port: number;
  readonly contacted: Set<string>;
  usedAt: number;
}

/** RFC 4787 REQ-5 asks for two minutes; many boxes keep a mapping for half a minute only. */
const MAPPING_MS = 30_000;

function scope(behaviour: Behaviour, endpoint: Endpoint): string {
  if (behaviour === 'endpoint-independent') return '*';
  return behaviour === 'address-dependent' ? endpoint.address : `${endpoint.address} ${endpoint.port}`;
}

/** One NAT with one public address, as pure state: no sockets, no clock of its own. */
export class Nat {
  readonly #type: NatType;
  readonly #address: string;
  readonly #random: Random;
  readonly #byFlow = new Map<string, Entry>();
  readonly #byPort = new Map<number, Entry>();
  readonly #strays = new Map<string, number>();
  #nextPort: number;

  constructor(type: NatType, address: string, random: Random) {
    this.#type = type;
    this.#address = address;
    this.#random = random;
    this.#nextPort = 20_000 + random.below(20_000);
  }

  /** The source that the outside sees of a datagram from `inside` to `to`. */
  outbound(inside: Endpoint, to: Endpoint, now: number): Endpoint {
    const usual = this.#entry(
      `${inside.address} ${inside.port}>${scope(this.#type.mapping, to)}`,
      inside,
      now,
    );
    const spoilt = this.#type.hostile && this.#isSpoilt(usual, to, now);
    const entry = spoilt
      ? this.#entry(`${formatEndpoint(inside)}!${formatEndpoint(to)}`, inside, now)
      : usual;
    entry.usedAt = now;
    entry.contacted.add(scope(this.#type.filtering, to));
    return { address: this.#address, port: entry.port };
  }

  #entry(flow: string, inside: Endpoint, now: number): Entry {
    let entry = this.#byFlow.get(flow);
    if (!entry || now - entry.usedAt > MAPPING_MS) {
      if (entry) this.#byPort.delete(entry.port);
      entry = { inside, port: this.#allocate(inside.port), contacted: new Set(), usedAt: now };
      this.#byFlow.set(flow, entry);
      this.#byPort.set(entry.port, entry);
    }
    return entry;
  }

  #isSpoilt(entry: Entry, to: Endpoint, now: number): boolean {
    const stray = this.#strays.get(`${entry.port} ${formatEndpoint(to)}`);
    return stray !== undefined && now - stray <= MAPPING_MS;
  }

  /** Where a datagram from `from` to the public `port` goes inside; undefined if it is dropped. */
  inbound(port: number, from: Endpoint, now: number): Endpoint | undefined {
    const entry = this.#byPort.get(port);
    const alive = entry !== undefined && now - entry.usedAt <= MAPPING_MS;
    if (alive && entry.contacted.has(scope(this.#type.filtering, from))) return entry.inside;
    if (this.#type.hostile) this.#strays.set(`${port} ${formatEndpoint(from)}`, now);
    return undefined;
  }

  #allocate(wanted: number): number {
    if (this.#type.ports === 'preserve' && !this.#byPort.has(wanted)) return wanted;
    for (;;) {
      const port = this.#type.ports === 'random' ? 1024 + this.#random.below(64_000) : this.#nextPort++;
      if (!this.#byPort.has(port)) return port;
    }
  }
}
