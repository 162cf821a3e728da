import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Endpoint } from '../../src/util/endpoint.js';
import type { UdpSocket } from '../../src/util/udp.js';
import { tempDir } from './tmp.js';

/**
 * A plexus 3.1.4 written from the specification alone and sharing no codec with awl: S/MIME by the openssl
 * program as plexus' library calls do it, frames and state of spec f, including its intolerance: one datagram
 * from the peer's endpoint that is short or fails the checksum ends the session.
 */
export const crlf = (text: string) => text.replaceAll('\r\n', '\n').replaceAll('\n', '\r\n');
const openssl = (args: string[], input: string) =>
  execFileSync('openssl', args, {
    input,
    encoding: 'latin1',
    stdio: ['pipe', 'pipe', 'ignore'],
    maxBuffer: 1 << 20,
  });

export interface Keys {
  /** Paths of PEM files. */
  readonly cert: string;
  readonly key: string;
}

/** The S/MIME entity that plexus puts into a mail (spec c.3). */
export function plexusSeal(text: string, host: Keys, peerCert: string): Buffer {
  const signed = openssl(
    ['smime', '-sign', '-signer', host.cert, '-inkey', host.key, '-nocerts', '-stream'],
    text,
  );
  const sealed = openssl(['smime', '-encrypt', '-des3', '-stream', peerCert], crlf(signed));
  return Buffer.from(crlf(sealed), 'latin1');
}

/** What plexus reads in an entity (spec c.3): the text, or an exception. */
export function plexusOpen(bytes: Uint8Array, host: Keys, peerCert: string): string {
  const entity = Buffer.from(bytes).toString('latin1').replaceAll('\r\n', '\n');
  const signed = openssl(['smime', '-decrypt', '-recip', host.cert, '-inkey', host.key], entity);
  const file = join(tempDir(), 'signed');
  writeFileSync(file, signed.replaceAll('\r\n', '\n'), 'latin1');
  return openssl(['smime', '-verify', '-noverify', '-nointern', '-certfile', peerCert, '-in', file], '');
}

/** Reads `PLEXUS 3.0` with plexus' own expression (spec c.1). */
export function plexusReference(text: string): { endpoint: Endpoint; puzzle: bigint } {
  const match = /^\s*PLEXUS 3.0 (\S+) (\d+) (\d+)\s*$/.exec(text);
  if (!match) throw new Error(`plexus does not understand: ${text}`);
  return { endpoint: { address: match[1]!, port: Number(match[2]) }, puzzle: BigInt(match[3]!) };
}

function frame(secret: bigint, flag: 0 | 1): Buffer {
  const plain = randomBytes(8);
  plain[0] = (plain[0]! & 0xfe) | flag;
  plain[7] = plain.subarray(0, 7).reduce((sum, byte) => sum ^ byte, 0);
  const mask = Buffer.alloc(8);
  mask.writeBigUInt64LE(secret);
  return Buffer.from(plain.map((byte, i) => byte ^ mask[i]!));
}

function flagOf(secret: bigint, data: Buffer): 0 | 1 {
  const mask = Buffer.alloc(8);
  mask.writeBigUInt64LE(secret);
  if (data.length !== 8) throw new Error('bad message length');
  const plain = data.map((byte, i) => byte ^ mask[i]!);
  if (plain.reduce((sum, byte) => sum ^ byte, 0) !== 0) throw new Error('bad message checksum');
  return (plain[0]! & 1) as 0 | 1;
}

/** Datagrams of exactly the announced endpoint, one receive slot at a time; others are dropped. */
function receiver(socket: UdpSocket, peer: Endpoint) {
  const inbox: Buffer[] = [];
  let wake = () => {};
  socket.subscribe((data, from) => {
    if (from.address !== peer.address || from.port !== peer.port) return;
    inbox.push(data);
    wake();
  });
  return async (slotMs: number): Promise<Buffer | undefined> => {
    if (inbox.length === 0) {
      await Promise.race([sleep(slotMs), new Promise<void>((resolve) => (wake = resolve))]);
    }
    return inbox.shift();
  };
}

/** Spec f, invite side of 3.1.4. */
export async function plexusInviteHandshake(
  socket: UdpSocket,
  peer: Endpoint,
  secret: bigint,
): Promise<void> {
  const receive = receiver(socket, peer);
  let current = frame(secret, 0);
  let flag: 0 | 1 = 0;
  for (const limit = performance.now() + 20_000; performance.now() < limit; ) {
    await socket.send(current, peer);
    if (flag === 1) return;
    const data = await receive(1600);
    if (data && flagOf(secret, data) === 1) {
      flag = 1;
      current = frame(secret, 1);
    }
  }
  throw new Error('plexus: handshake timeout');
}

/** Spec f, accept side of 3.1.4. */
export async function plexusAcceptHandshake(
  socket: UdpSocket,
  peer: Endpoint,
  secret: bigint,
): Promise<void> {
  const receive = receiver(socket, peer);
  await socket.send(frame(secret, 0), peer, 7);
  const answer = frame(secret, 1);
  for (const limit = performance.now() + 20_000; performance.now() < limit; ) {
    const data = await receive(1600);
    if (!data) continue;
    if (flagOf(secret, data) === 1) return;
    await socket.send(answer, peer);
  }
  throw new Error('plexus: handshake timeout');
}
