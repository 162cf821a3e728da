import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type BootstrapNode, startBootstrapNode } from '../../src/rendezvous/hyperdht/node.js';
import type { HyperdhtSettings } from '../../src/rendezvous/hyperdht/settings.js';
import type { HostPort } from '../../src/util/host-port.js';

/** A UDP port of loopback that is free just now. */
export async function freePort(): Promise<number> {
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}

/** A HyperDHT network of its own on loopback, as `awl dht-node` would make it. No public node is ever asked. */
export class Testnet {
  readonly #nodes: (BootstrapNode | undefined)[] = [];
  readonly #ports: number[] = [];

  static async start(size = 3): Promise<Testnet> {
    const net = new Testnet();
    for (let i = 0; i < size; i++) net.#ports.push(await freePort());
    await net.up();
    return net;
  }

  /** What a session needs to use this network: its first node. */
  get settings(): HyperdhtSettings & { readonly bootstrap: readonly HostPort[] } {
    return { bootstrap: this.#ports.slice(0, 1).map((port) => ({ host: '127.0.0.1', port })) };
  }

  get nodes(): readonly BootstrapNode[] {
    return this.#nodes.flatMap((node) => (node ? [node] : []));
  }

  /** Starts the nodes that are not running. */
  async up(): Promise<void> {
    const { bootstrap } = this.settings;
    for (const [i, port] of this.#ports.entries()) {
      this.#nodes[i] ??= await startBootstrapNode({ host: '127.0.0.1', port, ...(i > 0 && { bootstrap }) });
    }
  }

  /** Ends all nodes, or one. */
  async down(only?: number): Promise<void> {
    for (const [i, node] of this.#nodes.entries()) {
      if (only !== undefined && only !== i) continue;
      this.#nodes[i] = undefined;
      await node?.close();
    }
  }
}
