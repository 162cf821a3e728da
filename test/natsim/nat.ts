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
  return behaviour === 'address-dependent' ? endpoint.address : formatEndpoint(endpoint);
}

/** One NAT with one public address, as pure state: no sockets, no clock of its own. */
export class Nat {
  readonly #type: NatType;
  readonly #address: string;
  readonly #random: Random;
  readonly #byFlow = new Map<string, Entry>();
  readonly #byPort = new Map<number, Entry>();
  #nextPort: number;

  constructor(type: NatType, address: string, random: Random) {
    this.#type = type;
    this.#address = address;
    this.#random = random;
    this.#nextPort = 20_000 + random.below(20_000);
  }

  /** The source that the outside sees of a datagram from `inside` to `to`. */
  outbound(inside: Endpoint, to: Endpoint, now: number): Endpoint {
    const flow = `${formatEndpoint(inside)}>${scope(this.#type.mapping, to)}`;
    let entry = this.#byFlow.get(flow);
    if (!entry || now - entry.usedAt > MAPPING_MS) {
      if (entry) this.#byPort.delete(entry.port);
      entry = { inside, port: this.#allocate(inside.port), contacted: new Set(), usedAt: now };
      this.#byFlow.set(flow, entry);
      this.#byPort.set(entry.port, entry);
    }
    entry.usedAt = now;
    entry.contacted.add(scope(this.#type.filtering, to));
    return { address: this.#address, port: entry.port };
  }

  /** Where a datagram from `from` to the public `port` goes inside; undefined if it is dropped. */
  inbound(port: number, from: Endpoint, now: number): Endpoint | undefined {
    const entry = this.#byPort.get(port);
    if (!entry || now - entry.usedAt > MAPPING_MS) return undefined;
    return entry.contacted.has(scope(this.#type.filtering, from)) ? entry.inside : undefined;
  }

  #allocate(wanted: number): number {
    if (this.#type.ports === 'preserve' && !this.#byPort.has(wanted)) return wanted;
    for (;;) {
      const port = this.#type.ports === 'random' ? 1024 + this.#random.below(64_000) : this.#nextPort++;
      if (!this.#byPort.has(port)) return port;
    }
  }
}
