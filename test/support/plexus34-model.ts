import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Endpoint } from '../../src/util/endpoint.js';
import type { UdpSocket } from '../../src/util/udp.js';

/**
 * A plexus 3.4.1 written from the specification alone (c.1, f, g), sharing no codec with awl: its texts and its
 * handshake, which differs from 3.1's in who may end it.
 */
export interface Plexus34Text {
  readonly udp?: Endpoint;
  readonly udpNat?: string;
  readonly tcp?: Endpoint;
  readonly tcpNat?: string;
  readonly qos: string;
  readonly puzzle: bigint;
}

const NONE: Endpoint = { address: '0.0.0.0', port: 0 };
const at = ({ address, port }: Endpoint = NONE) => `${address}:${port}`;

/** 3.0 where it says everything, else 3.3; the time as boost writes it. A NAT has hairpin: both sides of a test share one address. */
export function plexus34Text({ udp, udpNat, tcp, tcpNat, qos, puzzle }: Plexus34Text): string {
  if (qos === 'udp:either' && udp) return `PLEXUS 3.0 ${udp.address} ${udp.port} ${puzzle}`;
  const time = new Date().toISOString().replaceAll(/[-:Z]/g, '').padEnd(22, '0');
  const nat = (text: string | undefined, endpoint: Endpoint | undefined) =>
    text ?? (endpoint ? '11000011' : '00000000');
  return `PLEXUS 3.3 ${time} ${at(udp)} ${nat(udpNat, udp)} ${at(tcp)} ${nat(tcpNat, tcp)} ${qos} ${puzzle}`;
}

/** Reads 3.0 and 3.3. */
export function plexus34Read(text: string): Required<Pick<Plexus34Text, 'udp' | 'tcp' | 'qos' | 'puzzle'>> {
  const place = (field = '') => {
    const [address = '', port] = field.split(':');
    return { address, port: Number(port) };
  };
  const [magic, version, ...rest] = text.trim().split(/\s+/);
  if (magic !== 'PLEXUS') throw new Error(`no plexus text: ${text}`);
  if (version === '3.0') {
    const [address = '', port, puzzle] = rest;
    return {
      udp: { address, port: Number(port) },
      tcp: NONE,
      qos: 'udp:either',
      puzzle: BigInt(puzzle ?? ''),
    };
  }
  if (version !== '3.3' || rest.length !== 7) throw new Error(`plexus does not understand: ${text}`);
  const [time = '', udp, , tcp, , qos = '', puzzle] = rest;
  if (!/^\d{8}T\d{6}(\.\d{6})?$/.test(time)) throw new Error(`no time: ${time}`);
  return { udp: place(udp), tcp: place(tcp), qos, puzzle: BigInt(puzzle ?? '') };
}

function frame(secret: bigint, flag: number): Buffer {
  const plain = randomBytes(8);
  plain[0] = (plain[0]! & 0xfe) | flag;
  plain[7] = plain.subarray(0, 7).reduce((sum, byte) => sum ^ byte, 0);
  return Buffer.from(plain.map((byte, i) => byte ^ Number((secret >> BigInt(8 * i)) & 0xffn)));
}

function flagOf(secret: bigint, data: Buffer): number {
  const plain = data.map((byte, i) => byte ^ Number((secret >> BigInt(8 * i)) & 0xffn));
  if (data.length !== 8 || plain.reduce((sum, byte) => sum ^ byte, 0) !== 0) throw new Error('bad message');
  return plain[0]! & 1;
}

/** Spec f: the acceptor ends on flag 1, as `server` already after its answer to flag 0, and says flag 1 once more. */
export async function plexus34Handshake(
  socket: UdpSocket,
  peer: Endpoint,
  secret: bigint,
  side: 'invite' | 'accept',
  role: string,
): Promise<void> {
  const inbox: Buffer[] = [];
  let wake = () => {};
  const unsubscribe = socket.subscribe((data, from) => {
    if (from.address !== peer.address || from.port !== peer.port) return;
    inbox.push(data);
    wake();
  });
  const receive = async () => {
    if (inbox.length === 0) {
      await Promise.race([sleep(1600), new Promise<void>((resolve) => (wake = resolve))]);
    }
    return inbox.shift();
  };
  const [hello, heard] = [frame(secret, 0), frame(secret, 1)];
  try {
    let current = hello;
    if (side === 'accept') await socket.send(hello, peer, 7);
    for (const limit = performance.now() + 20_000; performance.now() < limit; ) {
      if (side === 'invite') {
        await socket.send(current, peer);
        if (current === heard) return;
      }
      const data = await receive();
      if (!data) continue;
      const flag = flagOf(secret, data);
      if (side === 'invite') {
        if (flag === 1) current = heard;
        continue;
      }
      if (flag === 0) await socket.send(heard, peer);
      if (flag === 1 || role === 'server') {
        await socket.send(heard, peer);
        return;
      }
    }
    throw new Error('plexus: handshake timeout');
  } finally {
    unsubscribe();
  }
}
