import type { EventEmitter } from 'node:events';
import type { Endpoint } from '../util/endpoint.js';
import type { TunnelKeys } from '../wire/tunnel-keys.js';

/**
 * Ordered bytes both ways with backpressure, as UDX streams and Node's Duplex streams (a TLSSocket, say) have it:
 * `write` returns false until `drain`; events `data`, `drain`, `end`, `close`, `error`. What `data` yields is good until
 * its listeners return; what is written stays as it is until the peer has it.
 */
export interface ByteStream extends EventEmitter {
  write(data: Uint8Array): boolean;
  end(): unknown;
  destroy(): unknown;
}

/** Datagrams to the same peer beside the stream: unordered, each once or not at all; 1469 bytes fit. */
export interface DatagramPort {
  send(data: Uint8Array): void;
  subscribe(listener: (data: Buffer) => void): void;
}

/** What a carrier measures of its path, as far as it can. */
export interface CarrierStats {
  readonly rttMs?: number;
  /** Packets sent, and how many of them were repetitions: their share is the loss. */
  readonly packets?: number;
  readonly repeated?: number;
  /** Packets that claimed to be the peer's and were not, were damaged, or of no more use. */
  readonly bad?: number;
}

/**
 * One way to the peer under a tunnel. A tunnel lives on one carrier at a time and survives its loss: open another
 * one to the same peer, {@link greet} over it, and hand what comes of that to `Tunnel.attach` on both sides. What
 * was under way on the old carrier is sent again on the new one; nothing is lost or doubled. So a carrier may be
 * replaced after it broke (punched again) or while it works (a better one was found): the old one is closed.
 *
 * Whoever makes one answers for this:
 * - it leads to the pinned peer of the tunnel: `keys` come of a session key that only this peer shares (a confirmed
 *   passage has one). Both ends of one carrier have the same session key, and never use it for a second carrier of
 *   the same kind: records and datagrams are numbered from 0 under these keys;
 * - the peer's end is there, or `datagrams` is, over which both ends knock until it is;
 * - only with `secure` or `sealed` the stream itself encrypts and authenticates both ends (TLS with the pinned certificates
 *   checked); then records go bare.
 */
export interface Carrier {
  /** For people: `udp`, `tcp`, `relay`. */
  readonly kind: string;
  /** The peer's address, where there is one. */
  readonly peer?: Endpoint;
  readonly stream: ByteStream;
  readonly keys: TunnelKeys;
  readonly secure?: boolean;
  /** The same of a stream whose other end may not be there yet. */
  readonly sealed?: boolean;
  /** Without it datagrams travel in the stream's records. */
  readonly datagrams?: DatagramPort;
  stats?(): CarrierStats;
  /** Keeps the datagrams when the carrier is closed, for the next one; whoever takes them closes them. */
  keepDatagrams?(): DatagramPort & { close(): Promise<void> };
  /** Gives sockets back once the stream is closed. */
  close(): Promise<void>;
}
