import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { OPENDHT_BOOTSTRAP_ATTEMPTS_MS, OPENDHT_PREPARE_MS } from '../../constants.js';
import { AwlError, isAwlError } from '../../errors.js';
import type { Logger } from '../../log.js';
import { type Endpoint, sameEndpoint } from '../../util/endpoint.js';
import { formatHostPort, type HostPort } from '../../util/host-port.js';
import { addressToBytes, bytesToAddress } from '../../util/ip-bytes.js';
import { lookupName } from '../../util/name-lookup.js';
import { deadline } from '../../util/sleep.js';
import { HASH_BYTES } from '../../wire/opendht-value.js';
import { DhtNode } from './node.js';
import { type Found, type SearchOptions, search, WANT } from './search.js';
import type { OpendhtSettings } from './settings.js';

const FAMILIES = [4, 6] as const;
/** Addresses of bootstrap hosts, of which a name may have had others yesterday. */
const SEEDS_MAX = 16;

/** A node and where its searches begin if it knows nobody better. */
interface Face {
  readonly node: DhtNode;
  seeds: Endpoint[];
}

/** Our leaf in an OpenDHT network, with one node for each address family that a bootstrap host has. */
export class DhtNetwork {
  readonly #settings: OpendhtSettings;
  readonly #log: Logger;
  readonly #id = randomBytes(HASH_BYTES);
  readonly #faces = new Map<4 | 6, Promise<Face>>();
  readonly #open: Face[] = [];
  readonly #watchers = new Set<(node: DhtNode) => unknown>();
  #joining: Promise<void> | undefined;
  #closed = false;

  constructor(settings: OpendhtSettings, log: Logger) {
    this.#settings = settings;
    this.#log = log;
  }

  get nodes(): DhtNode[] {
    return this.#open.map(({ node }) => node);
  }

  /** Calls `use` for each node that there is or will be, until the returned function is called. */
  eachNode(use: (node: DhtNode) => unknown): () => void {
    this.#watchers.add(use);
    for (const node of this.nodes) use(node);
    return () => this.#watchers.delete(use);
  }

  /**
   * Looks the bootstrap hosts up and waits for the first answer of any.
   * @throws AwlError RENDEZVOUS_UNREACHABLE within 5 s, UDP_BIND; the signal's reason when aborted
   */
  async join(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    // Several wait for the same answer; one who gives up must not take it from the others.
    this.#joining ??= this.#join().finally(() => {
      this.#joining = undefined;
    });
    let onAbort = () => {};
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => reject(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
    });
    try {
      await Promise.race([this.#joining, aborted]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** {@link search} on one of {@link nodes}. */
  search(node: DhtNode, options: Omit<SearchOptions, 'seeds'>): Promise<Found[]> {
    const face = this.#open.find((each) => each.node === node);
    return search(node, { ...options, seeds: face?.seeds ?? [] });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.nodes.map((node) => node.close()));
  }

  async #join(): Promise<void> {
    const limit = deadline(OPENDHT_PREPARE_MS, () => new Error('no answer in time'));
    const found: Endpoint[] = [];
    // Each on its own: a name server that is slow with one host must not hold up the others.
    const joining = this.#settings.bootstrap.flatMap((host) =>
      FAMILIES.map(async (family) => {
        const endpoint = await resolveHost(host, family, limit.signal);
        if (!endpoint) throw new Error('no address');
        found.push(endpoint);
        const face = await this.#face(family);
        const addresses = face.seeds.filter((seed) => !sameEndpoint(seed, endpoint));
        face.seeds = [endpoint, ...addresses].slice(0, SEEDS_MAX);
        await this.#ask(face.node, endpoint, limit.signal);
      }),
    );
    try {
      await Promise.any(joining);
    } catch (error) {
      const reasons: unknown[] = error instanceof AggregateError ? error.errors : [];
      throw (
        reasons.find((reason) => isAwlError(reason)) ??
        this.#unreachable(found.length > 0 ? 'does not answer' : 'has no address')
      );
    } finally {
      limit.dispose();
    }
  }

  async #ask(node: DhtNode, seed: Endpoint, signal: AbortSignal): Promise<void> {
    const answer = await node.ask(
      seed,
      'find',
      { target: this.#id, w: [WANT[node.family]] },
      { attemptsMs: OPENDHT_BOOTSTRAP_ATTEMPTS_MS, trusted: true, signal },
    );
    if (answer.type !== 'reply') throw new Error(answer.type);
  }

  #face(family: 4 | 6): Promise<Face> {
    const known = this.#faces.get(family);
    if (known) return known;
    const { port, network } = this.#settings;
    const opening = DhtNode.open({ family, port, network, id: this.#id, log: this.#log }).then(
      async (node) => {
        const face: Face = { node, seeds: [] };
        if (this.#closed) {
          await node.close();
          return face;
        }
        this.#open.push(face);
        for (const use of this.#watchers) use(node);
        return face;
      },
    );
    this.#faces.set(family, opening);
    opening.catch(() => this.#faces.delete(family));
    return opening;
  }

  #unreachable(what: string): AwlError {
    const { bootstrap, network } = this.#settings;
    const names = bootstrap.map(formatHostPort).join(', ');
    return new AwlError(
      'RENDEZVOUS_UNREACHABLE',
      `the OpenDHT bootstrap ${bootstrap.length > 1 ? 'hosts' : 'host'} ${names} ${what}`,
      {
        hint: `check --dht-bootstrap (the usual port is 4222), that UDP gets out of this network, and --dht-network (now ${network}): nodes of another network id keep silent`,
      },
    );
  }
}

async function resolveHost(
  { host, port }: HostPort,
  family: 4 | 6,
  signal: AbortSignal,
): Promise<Endpoint | undefined> {
  const literal = isIP(host);
  if (literal !== 0)
    return literal === family ? { address: bytesToAddress(addressToBytes(host)), port } : undefined;
  let onAbort = () => {};
  const aborted = new Promise<undefined>((resolve) => {
    onAbort = () => resolve(undefined);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    // Not every lookup can be taken back; then it is only no longer waited for.
    const address = await Promise.race([lookupName(host, family, signal), aborted]);
    return address === undefined ? undefined : { address, port };
  } catch {
    return undefined;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
