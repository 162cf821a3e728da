import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bind } from '../../src/stun/client.js';
import { probe } from '../../src/stun/probe.js';
import { StunServer } from '../../src/stun/server.js';
import type { Endpoint } from '../../src/util/endpoint.js';
import { UdpSocket } from '../../src/util/udp.js';
import { decodeStun, encodeStun } from '../../src/wire/stun.js';

const ANSWERS = 10_000;
let socket: UdpSocket;
const opened: { close(): Promise<void> }[] = [];

beforeEach(async () => {
  socket = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  opened.push(socket);
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each.close()));
});

/** Sends in portions that a receive buffer holds, so that the flood arrives instead of being dropped. */
async function flood(from: UdpSocket, to: Endpoint, make: (i: number) => Uint8Array): Promise<void> {
  for (let i = 0; i < ANSWERS; i++) {
    void from.send(make(i), to);
    if (i % 50 === 49) await nextTurn();
  }
}

/** A server that floods whoever asks, and then answers honestly. */
async function flooder(make: (id: Buffer, i: number) => Uint8Array): Promise<UdpSocket> {
  const server = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  opened.push(server);
  let flooding: Promise<void> | undefined;
  server.subscribe(async (data, from) => {
    const request = decodeStun(data);
    if (!request) return;
    flooding ??= flood(server, from, (i) => make(request.id, i));
    await flooding;
    void server.send(encodeStun({ kind: 'success', id: request.id, xorMapped: from }), from);
  });
  return server;
}

test('10 000 answers with foreign ids leave the right one to be found', async () => {
  let arrived = 0;
  socket.subscribe(() => arrived++);
  const server = await flooder((id, i) => {
    const foreign = Buffer.from(id);
    foreign.writeUInt32BE((foreign.readUInt32BE(12) ^ (i + 1)) >>> 0, 12);
    return encodeStun({ kind: 'success', id: foreign, xorMapped: { address: '127.0.0.1', port: 666 } });
  });
  expect((await bind(socket, server.local)).mapped).toEqual(socket.local);
  expect(arrived).toBeGreaterThan(ANSWERS / 2);
});

test('10 000 valid answers count as one: the first', async () => {
  const server = await flooder((id, i) =>
    encodeStun({ kind: 'success', id, xorMapped: { address: '127.0.0.1', port: 1000 + i } }),
  );
  const probing = probe(socket, [server.local]);
  expect((await probing.endpoint).port).toBe(1000);
  // The server contradicts itself when asked again.
  expect((await probing.report).mapping).toBe('not-measured');
});

test('10 000 damaged answers with the right id do not stop the right one', async () => {
  const server = await flooder((id, i) => {
    const whole = encodeStun({ kind: 'success', id, mapped: { address: '127.0.0.1', port: 666 } });
    // A mapped address cut short inside a message whose lengths agree with each other.
    const cut = Buffer.from(whole.subarray(0, 24 + (i % 8)));
    cut.writeUInt16BE(cut.length - 20, 2);
    return cut;
  });
  expect((await bind(socket, server.local)).mapped).toEqual(socket.local);
});

test('the embedded server under 10 000 pieces of garbage still answers, and answers none of it', async () => {
  const server = await StunServer.start({ addresses: ['127.0.0.1', '127.0.0.2'], port: 0, altPort: 0 });
  opened.push(server);
  const attacker = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  opened.push(attacker);
  let reflected = 0;
  attacker.subscribe(() => reflected++);
  const kinds = [
    Buffer.alloc(0),
    Buffer.alloc(19),
    Buffer.alloc(1400, 0xff),
    encodeStun({ kind: 'success', id: Buffer.alloc(16), mapped: server.endpoint }),
    encodeStun({ kind: 'error', id: Buffer.alloc(16), error: { code: 400, reason: '' } }),
  ];
  await flood(attacker, server.endpoint, (i) => kinds[i % kinds.length] ?? Buffer.alloc(0));
  expect((await bind(socket, server.endpoint)).mapped).toEqual(socket.local);
  expect(reflected).toBe(0);
  expect(server.stats.answered).toBe(1);
});
