import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { OPENDHT_BOOTSTRAP_ATTEMPTS_MS, OPENDHT_PREPARE_MS } from '../../constants.js';
import { AwlError } from '../../errors.js';
import type { Logger } from '../../log.js';
import type { Endpoint } from '../../util/endpoint.js';
import { formatHostPort, type HostPort } from '../../util/host-port.js';
import { addressToBytes, bytesToAddress } from '../../util/ip-bytes.js';
import { lookupName } from '../../util/name-lookup.js';
import { deadline } from '../../util/sleep.js';
import { HASH_BYTES } from '../../wire/opendht-value.js';
import { DhtNode } from './node.js';
import { type Found, type SearchOptions, search } from './search.js';
import type { OpendhtSettings } from './settings.js';

const FAMILIES = [4, 6] as const;

/** A node and where its searches begin if it knows nobody better. */
interface Face {
  readonly node: DhtNode;
  seeds: readonly Endpoint[];
}

/** Our leaf in an OpenDHT network, with one node for each address family that a bootstrap host has. */
export class DhtNetwork {
  readonly #settings: OpendhtSettings;
  readonly #log: Logger;
  readonly #id = randomBytes(HASH_BYTES);
  readonly #faces = new Map<4 | 6, Face>();
  #joining: Promise<void> | undefined;
  #closed = false;

  constructor(settings: OpendhtSettings, log: Logger) {
    this.#settings = settings;
    this.#log = log;
  }

  get nodes(): DhtNode[] {
    return [...this.#faces.values()].map(({ node }) => node);
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
    const seeds = this.#faces.get(node.family)?.seeds ?? [];
    return search(node, { ...options, seeds });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.nodes.map((node) => node.close()));
  }

  async #join(): Promise<void> {
    const limit = deadline(OPENDHT_PREPARE_MS, () => new Error('no answer in time'));
    try {
      await this.#resolve(limit.signal);
      const asking = [...this.#faces.values()].flatMap(({ node, seeds }) =>
        seeds.map(async (seed) => {
          const answer = await node.ask(
            seed,
            'find',
            { target: this.#id, w: [node.family === 4 ? 2 : 10] },
            { attemptsMs: OPENDHT_BOOTSTRAP_ATTEMPTS_MS, trusted: true, signal: limit.signal },
          );
          if (answer.type !== 'reply') throw new Error(answer.type);
        }),
      );
      await Promise.any(asking).catch(() => {
        throw this.#unreachable('does not answer');
      });
    } finally {
      limit.dispose();
    }
  }

  /** Addresses of the bootstrap hosts, by family; opens a node for each family that is new. */
  async #resolve(signal: AbortSignal): Promise<void> {
    const found = await Promise.all(
      this.#settings.bootstrap.flatMap((host) =>
        FAMILIES.map(async (family) => ({ family, endpoint: await resolveHost(host, family, signal) })),
      ),
    );
    const seedsOf = (family: 4 | 6) =>
      found.flatMap((each) => (each.family === family && each.endpoint ? [each.endpoint] : []));
    if (found.every(({ endpoint }) => !endpoint)) throw this.#unreachable('has no address');
    for (const family of FAMILIES) {
      const seeds = seedsOf(family);
      const face = this.#faces.get(family);
      if (face && seeds.length > 0) face.seeds = seeds;
      else if (seeds.length > 0) await this.#open(family, seeds);
    }
  }

  async #open(family: 4 | 6, seeds: readonly Endpoint[]): Promise<void> {
    const { port, network } = this.#settings;
    const options = { family, port, network, id: this.#id, log: this.#log };
    const node = await DhtNode.open(options).catch((error: unknown) => {
      // A machine without IPv6 has names with IPv6 addresses all the same.
      if (family === 6 && this.#faces.size > 0) return undefined;
      throw error;
    });
    if (this.#closed) await node?.close();
    else if (node) this.#faces.set(family, { node, seeds });
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
