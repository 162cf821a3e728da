import { isIPv4 } from 'node:net';
import { AwlError, errorText } from '../../errors.js';
import type { Endpoint } from '../../util/endpoint.js';
import { formatHostPort, type HostPort } from '../../util/host-port.js';
import { deadline } from '../../util/sleep.js';
import {
  isPlausible,
  isPrivate,
  outwardAddress,
  ownAddresses,
  publicAddress,
  resolveAll,
} from './addresses.js';
import { orAbort, within } from './bounded.js';
import { type DhtAddress, type DhtLibrary, type DhtNode, type DhtPeer, loadLibrary } from './library.js';
import { DHT_CLOSE_MS, DHT_REACH_GAP_MS, DHT_REACH_MS, DHT_REACH_TRIES } from './limits.js';
import type { Carrier } from './private.js';
import type { HyperdhtSettings } from './settings.js';
import { staggered } from './staggered.js';

function unreachable(servers: readonly string[], why: string, cause?: unknown): AwlError {
  const names = servers.join(' and ');
  return new AwlError('RENDEZVOUS_UNREACHABLE', `no HyperDHT node answers at ${names}: ${why}`, {
    hint: 'is awl dht-node (or another HyperDHT node) running there, and may UDP leave this network? --rendezvous=email needs no UDP',
    ...(cause !== undefined && { cause }),
  });
}

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
    const found = bootstrap && (await resolveAll(bootstrap, signal, unreachable));
    const node = new library({
      ...(found && { bootstrap: found }),
      port: port ? port : [0, 0],
      ...(port && { anyPort: false }),
      ephemeral: true,
    });
    node.on('error', () => {});
    carrier?.restrict(node);
    const names = bootstrap?.map(formatHostPort) ?? library.BOOTSTRAP.map((text) => text.replace(/^.*@/, ''));
    return new ClientNode(node, found ?? library.BOOTSTRAP.map(publicAddress), names);
  }

  /**
   * Resolves when a bootstrap node has answered.
   * @throws AwlError RENDEZVOUS_UNREACHABLE within 5 s, UDP_BIND when the port is taken; the signal's reason
   */
  async reach(signal: AbortSignal): Promise<void> {
    const seconds = Math.round(DHT_REACH_MS / 1000);
    const silence = () => unreachable(this.#names, `nothing came back in ${seconds} s`);
    const limit = deadline(DHT_REACH_MS, silence, signal);
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
    // The library repeats each question three times; on a bad path all four are lost now and then.
    const ask = () => Promise.any(this.#servers.map((server) => this.node.ping(server)));
    const turns = Array.from({ length: DHT_REACH_TRIES });
    const answered = staggered(turns, DHT_REACH_GAP_MS, ask, limit.signal);
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

  /** The peer with those of its relays that a stranger may make us ask. */
  checked({ publicKey, relayAddresses }: DhtPeer): DhtPeer {
    const inPrivate = this.#servers.some(({ host }) => isPrivate(host));
    return {
      publicKey,
      relayAddresses: relayAddresses.filter((address) => isPlausible(address, inPrivate)),
    };
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
  /** Requests of this node to others, and those among them that nobody answered. */
  readonly asked: number;
  readonly unanswered: number;
}

/**
 * Starts a persistent node, reachable from everywhere, that stores and relays for its network.
 * @throws AwlError UDP_BIND when the port is taken, USAGE_BAD_VALUE for an address that HyperDHT cannot use,
 *   RENDEZVOUS_UNREACHABLE when no name of `bootstrap` is known
 */
export async function startBootstrapNode(options: BootstrapOptions): Promise<BootstrapNode> {
  const { port, bootstrap = [] } = options;
  const host = options.host === '0.0.0.0' ? outwardAddress() : options.host;
  if (!isIPv4(host) || port < 1 || port > 65535) {
    throw new AwlError('USAGE_BAD_VALUE', `a HyperDHT node cannot be reached at ${host}:${port}`, {
      hint: 'name the IPv4 address and the UDP port by which others reach this machine',
    });
  }
  const library = loadLibrary();
  const others =
    bootstrap.length > 0 ? await resolveAll(bootstrap, AbortSignal.timeout(DHT_REACH_MS), unreachable) : [];
  // An address that a provider maps to this machine is none of its own.
  const bound = ownAddresses().includes(host) ? host : '0.0.0.0';
  const node = library.bootstrapper(port, host, { bootstrap: others, host: bound });
  node.on('error', () => {});
  const close = () => within(DHT_CLOSE_MS, node.destroy({ force: true }));
  try {
    await node.fullyBootstrapped();
  } catch (error) {
    await close();
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
    close,
  };
}
