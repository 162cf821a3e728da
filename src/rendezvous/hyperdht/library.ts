import type { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import { AwlError, errorText } from '../../errors.js';

/** An IPv4 address and port, as the library writes it. */
export interface DhtAddress {
  readonly host: string;
  readonly port: number;
}

/** Ed25519, as libsodium keeps it: 32 and 64 bytes. */
export interface DhtKeyPair {
  readonly publicKey: Buffer;
  readonly secretKey: Buffer;
}

/** One peer that a record of the DHT names: its key and the nodes that relay to it. */
export interface DhtPeer {
  readonly publicKey: Buffer;
  readonly relayAddresses: readonly DhtAddress[];
}

/** A query under way: what nodes answer, as it comes. `destroy` ends it without an error. */
export interface DhtQuery<T> extends AsyncIterable<T>, EventEmitter {
  finished(): Promise<void>;
  destroy(): void;
}

export interface QueryOptions {
  /** Nodes to ask first. */
  readonly nodes?: readonly DhtAddress[];
  readonly retries?: number;
}

/** An announced key at which others can knock. */
export interface DhtServer extends EventEmitter {
  listen(keyPair: DhtKeyPair): Promise<unknown>;
  close(): Promise<void>;
  /** Announces anew at the library's next turn, within 3 s. */
  refresh(): void;
  readonly relayAddresses: readonly DhtAddress[];
}

export interface ServerOptions {
  readonly holepunch: false;
  readonly shareLocalAddress: false;
  /** True: the knock stays unanswered. */
  readonly firewall: (remotePublicKey: Buffer) => boolean;
}

export interface ConnectOptions {
  readonly keyPair: DhtKeyPair;
  readonly localConnection: false;
  readonly holepunch: () => false;
  readonly relayAddresses?: readonly DhtAddress[];
}

export interface DhtRecord {
  readonly value: Buffer;
}

/** What we use of a HyperDHT node's public interface. */
export interface DhtNode extends EventEmitter {
  readonly destroyed: boolean;
  readonly firewalled: boolean;
  /** Entries of the routing table. */
  readonly nodes: { readonly length: number };
  readonly stats: {
    readonly requests: { readonly total: number; readonly responses: number; readonly timeouts: number };
  };
  fullyBootstrapped(): Promise<void>;
  address(): DhtAddress | null;
  /** Our own address as others see it, where it can be reached. */
  remoteAddress(): DhtAddress | null;
  ping(to: DhtAddress): Promise<unknown>;
  lookup(topic: Buffer, options?: QueryOptions): DhtQuery<{ readonly peers: readonly DhtPeer[] }>;
  findPeer(publicKey: Buffer, options?: QueryOptions): DhtQuery<{ readonly from: DhtAddress }>;
  announce(
    topic: Buffer,
    keyPair: DhtKeyPair,
    relays: readonly DhtAddress[],
    options?: QueryOptions,
  ): DhtQuery<unknown>;
  unannounce(topic: Buffer, keyPair: DhtKeyPair, options?: QueryOptions): Promise<void>;
  immutablePut(value: Buffer, options: QueryOptions): Promise<{ readonly hash: Buffer }>;
  immutableGet(hash: Buffer, options: QueryOptions): Promise<DhtRecord | null>;
  mutablePut(
    keyPair: DhtKeyPair,
    value: Buffer,
    options: QueryOptions & { readonly seq: number },
  ): Promise<unknown>;
  /** Without `latest` the first record that is signed rightly, instead of the newest of all nodes. */
  mutableGet(
    publicKey: Buffer,
    options: QueryOptions & { readonly latest: false },
  ): Promise<DhtRecord | null>;
  createServer(options: ServerOptions): DhtServer;
  connect(publicKey: Buffer, options: ConnectOptions): EventEmitter & { destroy(): void };
  destroy(options?: { readonly force?: boolean }): Promise<void>;
}

export interface NodeOptions {
  /** Absent: HyperDHT's public nodes. */
  readonly bootstrap?: readonly DhtAddress[];
  /** A range `[from, to)`; `[0, 0]` lets the kernel choose. A plain 0 would mean 49737. */
  readonly port?: number | readonly [number, number];
  readonly host?: string;
  readonly anyPort?: boolean;
  readonly ephemeral?: boolean;
  readonly firewalled?: boolean;
}

/** The `hyperdht` package: CommonJS, without types of its own. */
export interface DhtLibrary {
  new (options: NodeOptions): DhtNode;
  /** A node that knows its own public address and can be the first of a network. */
  bootstrapper(port: number, host: string, options: NodeOptions): DhtNode;
  keyPair(seed?: Buffer): DhtKeyPair;
  hash(data: Buffer): Buffer;
  /** Public nodes, as `address@name:port`. */
  readonly BOOTSTRAP: readonly string[];
}

/** Loads CommonJS modules, the library's and its private ones. */
export const requireModule: (id: string) => unknown = createRequire(import.meta.url);

/** @throws AwlError RENDEZVOUS_UNREACHABLE where its native parts do not run */
export function loadLibrary(): DhtLibrary {
  try {
    return requireModule('hyperdht') as DhtLibrary;
  } catch (cause) {
    throw new AwlError('RENDEZVOUS_UNREACHABLE', `HyperDHT cannot be loaded: ${errorText(cause)}`, {
      hint: `its native parts may lack a build for ${process.platform} ${process.arch}; use --rendezvous=email`,
      cause,
    });
  }
}
