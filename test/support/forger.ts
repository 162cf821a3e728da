import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { Passage } from '../../src/session/passage.js';
import { type Endpoint, formatEndpoint } from '../../src/util/endpoint.js';

/** What to do with one UDX packet: pass it on, or not, with others beside it to the same side. */
export interface Forgery {
  readonly drop?: boolean;
  readonly packets: readonly Buffer[];
}
/** Told each UDX packet, and whether the inviter sent it. Undefined: pass it on untouched. */
export type Attack = (packet: Buffer, fromInviter: boolean) => Forgery | undefined;

/** Bits of the third byte of a UDX packet. */
export const UDX = { data: 1, end: 2, sack: 4, message: 8, destroy: 16 } as const;
/** Magic, version, type, data offset, and four words: stream, receive window, sequence number, acknowledgement. */
const HEADER_BYTES = 20;

/** A packet that carries the stream id of a true one, and whatever else its maker likes. */
export function forge(
  packet: Buffer,
  type: number,
  more: { window?: number; seq?: number; ack?: number; body?: Buffer } = {},
): Buffer {
  const header = Buffer.from(packet.subarray(0, HEADER_BYTES));
  header[2] = type;
  header[3] = 0;
  for (const [value, at] of [[more.window, 8] as const, [more.seq, 12] as const, [more.ack, 16] as const]) {
    if (value !== undefined) header.writeUInt32LE(value >>> 0, at);
  }
  return more.body ? Buffer.concat([header, more.body]) : header;
}

export const streamOf = (packet: Buffer) => packet.readUInt32LE(4);
export const seqOf = (packet: Buffer) => packet.readUInt32LE(12);
export const ackOf = (packet: Buffer) => packet.readUInt32LE(16);

export interface ForgerOptions {
  /** Both sides speak in volleys, of which `attack` is told each packet; otherwise UDX. */
  readonly volleys?: boolean;
}

/** Somebody on every path between two sides on loopback: reads all, and adds packets under both addresses. */
export class Forger {
  attack: Attack | undefined;
  readonly #paths = new Map<string, Promise<ReadonlyMap<string, Endpoint>>>();
  readonly #sockets: Socket[] = [];
  readonly #volleys: boolean;
  forged = 0;
  /** Packets that passed, by their first byte. */
  readonly seen = new Map<number, number>();

  constructor({ volleys = false }: ForgerOptions = {}) {
    this.#volleys = volleys;
  }

  /** The same passage, but that its datagrams go through here. Both sides must do this. */
  async via(passage: Passage): Promise<Passage> {
    const { inner, alien, role } = passage;
    const key = [inner, alien].map(formatEndpoint).sort().join(' ');
    const path = this.#paths.get(key) ?? this.#open(role === 'invite' ? [inner, alien] : [alien, inner]);
    this.#paths.set(key, path);
    const at = (await path).get(formatEndpoint(inner));
    if (!at) throw new Error('no such path');
    return { ...passage, alien: at, volleys: this.#volleys };
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
  }

  /** One socket for each side to talk to; what comes to one leaves by the other. */
  async #open([inviter, acceptor]: readonly [Endpoint, Endpoint]): Promise<ReadonlyMap<string, Endpoint>> {
    const sides = [inviter, acceptor];
    const sockets = sides.map(() => createSocket('udp4'));
    const at = new Map<string, Endpoint>();
    for (const [index, socket] of sockets.entries()) {
      this.#sockets.push(socket);
      socket.on('error', () => {}).bind(0, '127.0.0.1');
      await once(socket, 'listening');
      at.set(formatEndpoint(sides[index]!), { address: '127.0.0.1', port: socket.address().port });
      const [out, to] = [sockets[1 - index]!, sides[1 - index]!];
      socket.on('message', (data) => {
        const first = data[0] ?? 0;
        this.seen.set(first, (this.seen.get(first) ?? 0) + 1);
        const udx = data.length >= HEADER_BYTES && first === 0xff && data[1] === 1;
        const forgery = udx || this.#volleys ? this.attack?.(data, index === 0) : undefined;
        for (const packet of forgery?.packets ?? []) out.send(packet, to.port, to.address);
        this.forged += forgery?.packets.length ?? 0;
        if (!forgery?.drop) out.send(data, to.port, to.address);
      });
    }
    return at;
  }
}
