import { OPENDHT_CLOSEST, OPENDHT_SAME_ADDRESS_MAX, OPENDHT_TABLE_MAX } from '../../constants.js';
import { type Endpoint, formatEndpoint } from '../../util/endpoint.js';
import { scopeOf } from './scope.js';

/** A node that answered. */
export interface Contact {
  readonly id: Buffer;
  readonly endpoint: Endpoint;
}

/** XOR distance of two ids as bytes, to be compared big-endian (spec opendht 2). */
export function distance(a: Uint8Array, b: Uint8Array): Buffer {
  return Buffer.from(a.map((byte, i) => byte ^ (b[i] ?? 0)));
}

/** Orders nodes by distance to `target`, nearest first. */
export function byDistance<T extends { readonly id: Uint8Array }>(
  nodes: readonly T[],
  target: Uint8Array,
): T[] {
  return nodes
    .map((node) => ({ node, far: distance(node.id, target) }))
    .sort((a, b) => Buffer.compare(a.far, b.far))
    .map(({ node }) => node);
}

/**
 * The nearest of `nodes`, at most two of one public address: ids cost nothing, addresses do, and whoever has only one
 * address must not own all places around a key.
 */
export function closest<T extends Contact>(
  nodes: readonly T[],
  target: Uint8Array,
  count: number = OPENDHT_CLOSEST,
): T[] {
  const perAddress = new Map<string, number>();
  const out: T[] = [];
  for (const node of byDistance(nodes, target)) {
    if (out.length === count) break;
    const { address } = node.endpoint;
    const taken = perAddress.get(address) ?? 0;
    if (taken >= OPENDHT_SAME_ADDRESS_MAX && scopeOf(address) === 'public') continue;
    perAddress.set(address, taken + 1);
    out.push(node);
  }
  return out;
}

interface Entry extends Contact {
  silences: number;
}

const MAX_SILENCES = 2;

/**
 * The nodes that answered us lately, by endpoint: nobody gets in by being named. A leaf that looks up a few keys
 * needs no buckets.
 */
export class RoutingTable {
  /** In order of their last answer. */
  readonly #nodes = new Map<string, Entry>();

  get size(): number {
    return this.#nodes.size;
  }

  has(endpoint: Endpoint): boolean {
    return this.#nodes.has(formatEndpoint(endpoint));
  }

  answered(id: Buffer, endpoint: Endpoint): void {
    const key = formatEndpoint(endpoint);
    this.#nodes.delete(key);
    this.#nodes.set(key, { id: Buffer.from(id), endpoint, silences: 0 });
    for (const oldest of this.#nodes.keys()) {
      if (this.#nodes.size <= OPENDHT_TABLE_MAX) break;
      this.#nodes.delete(oldest);
    }
  }

  silent(endpoint: Endpoint): void {
    const key = formatEndpoint(endpoint);
    const entry = this.#nodes.get(key);
    if (!entry) return;
    entry.silences++;
    if (entry.silences >= MAX_SILENCES) this.#nodes.delete(key);
  }

  closest(target: Uint8Array, count: number): Contact[] {
    return closest([...this.#nodes.values()], target, count);
  }
}
