import { lookup } from 'node:dns/promises';
import { isIPv4, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { DHT_CLOSE_MS, DHT_NAME_MS, DHT_REACH_MS } from '../../constants.js';
import { AwlError, errorText } from '../../errors.js';
import type { Endpoint } from '../../util/endpoint.js';
import { formatHostPort, type HostPort } from '../../util/host-port.js';
import { deadline, sleep } from '../../util/sleep.js';
import { type DhtAddress, type DhtLibrary, type DhtNode, loadLibrary, type NodeOptions } from './library.js';
import type { Carrier } from './private.js';
import type { HyperdhtSettings } from './settings.js';

/** Rejects with the signal's reason when it aborts first; what `work` does then is nobody's business any more. */
export async function orAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  work.catch(() => {});
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function unreachable(servers: readonly string[], why: string, cause?: unknown): AwlError {
  const names = servers.join(' and ');
  return new AwlError('RENDEZVOUS_UNREACHABLE', `no HyperDHT node answers at ${names}: ${why}`, {
    hint: 'is awl dht-node (or another HyperDHT node) running there, and may UDP leave this network? --rendezvous=email needs no UDP',
    ...(cause !== undefined && { cause }),
  });
}

/** Makes a node; tests make others. */
export type NodeMaker = (options: NodeOptions) => DhtNode;

/** A node of ours: a client that stores and relays nothing for others. */
export class ClientNode {
  readonly node: DhtNode;
  readonly #servers: readonly DhtAddress[];
  readonly #names: readonly string[];
  #closed: Promise<void> | undefined;

  private constructor(node: DhtNode, servers: readonly DhtAddress[], names: readonly string[]) {
    this.node = node;
    this.#servers = servers;
    this.#names = names;
  }

  /**
   * Looks the bootstrap nodes up and opens the sockets; nothing has been asked yet.
   * @throws AwlError RENDEZVOUS_UNREACHABLE when none of their names is known; the signal's reason
   */
  static async open(
    library: DhtLibrary,
    settings: HyperdhtSettings,
    carrier: Carrier | undefined,
    signal: AbortSignal,
  ): Promise<ClientNode> {
    const { bootstrap, port } = settings;
    const found = bootstrap && (await resolveAll(bootstrap, signal));
    const node = new library({
      ...(found && { bootstrap: found }),
      port: port ? port : [0, 0],
      ...(port && { anyPort: false }),
      ephemeral: true,
    });
    node.on('error', () => {});
    carrier?.restrict(node);
    const names = bootstrap
      ? bootstrap.map(formatHostPort)
      : library.BOOTSTRAP.map((text) => text.replace(/^.*@/, ''));
    return new ClientNode(node, found ?? library.BOOTSTRAP.map(publicAddress), names);
  }

  /**
   * Resolves when a bootstrap node has answered.
   * @throws AwlError RENDEZVOUS_UNREACHABLE within 5 s, RENDEZVOUS_REFUSED when the port is taken; the signal's reason
   */
  async reach(signal: AbortSignal): Promise<void> {
    const limit = deadline(
      DHT_REACH_MS,
      () => unreachable(this.#names, `nothing came back in ${Math.round(DHT_REACH_MS / 1000)} s`),
      signal,
    );
    // A port that is taken shows here and nowhere else.
    const refused = this.node.fullyBootstrapped().then(
      () => new Promise<never>(() => {}),
      (error) => {
        throw new AwlError('UDP_BIND', `the DHT node cannot open its UDP port: ${errorText(error)}`, {
          hint: 'choose a free port with --dht-port, or leave it out',
          cause: error,
        });
      },
    );
    const answered = Promise.any(this.#servers.map((server) => this.node.ping(server)));
    try {
      await orAbort(Promise.race([answered, refused]), limit.signal);
    } catch (error) {
      limit.signal.throwIfAborted();
      if (error instanceof AwlError) throw error;
      throw unreachable(this.#names, 'nothing came back', error);
    } finally {
      limit.dispose();
    }
  }

  /** Takes leave for a moment (`leave` says good-bye), then closes the sockets. Never rejects. */
  close(leave?: () => Promise<unknown>): Promise<void> {
    this.#closed ??= this.#close(leave);
    return this.#closed;
  }

  async #close(leave?: () => Promise<unknown>): Promise<void> {
    if (leave) await within(DHT_CLOSE_MS, leave());
    await within(DHT_CLOSE_MS, this.node.destroy({ force: true }));
  }
}

async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const patience = new AbortController();
  await Promise.race([work.catch(() => {}), sleep(ms, patience.signal).catch(() => {})]);
  patience.abort();
}

/** `address@name:port`, as the library writes its public nodes. */
function publicAddress(text: string): DhtAddress {
  const [, host = '', port = ''] = /^([\d.]+)(?:@[^:]*)?:(\d+)$/.exec(text) ?? [];
  return { host, port: Number(port) };
}

/** HyperDHT looks names up at each query, and cannot be stopped doing it; so it gets addresses. */
async function resolveAll(servers: readonly HostPort[], signal: AbortSignal): Promise<DhtAddress[]> {
  let failure: unknown;
  const limit = deadline(DHT_NAME_MS, () => new Error('the name server is silent'), signal);
  const found = await Promise.all(
    servers.map(async ({ host, port }) => {
      if (isIPv4(host)) return { host, port };
      try {
        if (isIPv6(host)) throw new Error('HyperDHT speaks IPv4 only');
        const { address } = await orAbort(lookup(host, { family: 4 }), limit.signal);
        return { host: address, port };
      } catch (error) {
        failure = error;
        return undefined;
      }
    }),
  );
  limit.dispose();
  signal.throwIfAborted();
  const known = found.flatMap((address) => (address ? [address] : []));
  if (known.length > 0) return known;
  throw unreachable(servers.map(formatHostPort), errorText(failure), failure);
}

export interface BootstrapOptions {
  /** IPv4 address by which others reach this node; `0.0.0.0`: that of the first interface, public ones first. */
  readonly host: string;
  /** UDP port, the same inside and outside. */
  readonly port: number;
  /** Other nodes of the same network. */
  readonly bootstrap?: readonly HostPort[];
}

/** A running node that others can start from. */
export interface BootstrapNode {
  readonly endpoint: Endpoint;
  metrics(): BootstrapMetrics;
  /** Within about a second; never rejects. */
  close(): Promise<void>;
}

export interface BootstrapMetrics {
  /** Other nodes in the routing table. */
  readonly nodes: number;
  /** Requests of this node to others. */
  readonly asked: number;
  readonly unanswered: number;
}

/**
 * Starts a persistent node, reachable from everywhere, that stores and relays for its network.
 * @throws AwlError UDP_BIND when the port is taken, USAGE_BAD_VALUE for an address that HyperDHT cannot use
 */
export async function startBootstrapNode(options: BootstrapOptions): Promise<BootstrapNode> {
  const { port, bootstrap = [] } = options;
  const host = options.host === '0.0.0.0' ? ownAddress() : options.host;
  if (!isIPv4(host) || port < 1 || port > 65535) {
    throw new AwlError('USAGE_BAD_VALUE', `a HyperDHT node cannot be reached at ${host}:${port}`, {
      hint: 'name the IPv4 address and the UDP port by which others reach this machine',
    });
  }
  const library = loadLibrary();
  const known = bootstrap.length > 0 ? await resolveAll(bootstrap, AbortSignal.timeout(DHT_REACH_MS)) : [];
  // An address that a provider maps to this machine is none of its own.
  const here = ownAddresses().includes(host);
  const node = library.bootstrapper(port, host, { bootstrap: known, host: here ? host : '0.0.0.0' });
  node.on('error', () => {});
  try {
    await node.fullyBootstrapped();
  } catch (error) {
    await within(DHT_CLOSE_MS, node.destroy({ force: true }));
    throw new AwlError('UDP_BIND', `cannot open UDP port ${port}: ${errorText(error)}`, {
      hint: 'another program may have it; choose another port',
      cause: error,
    });
  }
  return {
    endpoint: { address: host, port },
    metrics: () => ({
      nodes: node.nodes.length,
      asked: node.stats.requests.total,
      unanswered: node.stats.requests.timeouts,
    }),
    close: () => within(DHT_CLOSE_MS, node.destroy({ force: true })),
  };
}

const PRIVATE_IPV4 =
  /^(10\.|127\.|169\.254\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.)/;

function ownAddress(): string {
  const outer = ownAddresses().filter((address) => !address.startsWith('127.'));
  return outer.find((address) => !PRIVATE_IPV4.test(address)) ?? outer[0] ?? '127.0.0.1';
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((list = []) =>
    list.filter(({ family }) => family === 'IPv4').map(({ address }) => address),
  );
}
