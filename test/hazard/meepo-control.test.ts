import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { silentLogger } from '../../src/log.js';
import type { MeepoNode } from '../../src/meepo/node.js';
import type { Transport } from '../../src/meepo/transport.js';
import { openRendezvous } from '../../src/rendezvous/registry.js';
import { type MeepoKeys, meepoKeys } from '../../src/wire/meepo/keys.js';
import { encodeBody, encodePacket, type PacketHeader, signPacket } from '../../src/wire/meepo/packet.js';
import { loopbackNode, until } from '../support/meepo-nodes.js';

/*
 * alice and eve have paths to bob; alice has teleported "web". eve says on her own path whatever she likes.
 */
const keys = { alice: meepoKeys(), bob: meepoKeys(), eve: meepoKeys() };
let folder = '';
let service: Server;
let remote = '';
let at = '';
let [alice, bob, eve]: MeepoNode[] = [];
let wire: Transport;
let session = 1_000;

async function node(own: MeepoKeys): Promise<MeepoNode> {
  const letters = await openRendezvous(
    { name: 'file', folder },
    { log: silentLogger, now: () => new Date() },
  );
  return loopbackNode(undefined, { keys: own, letters, selfmesh: false });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'awl-meepo-'));
  service = createServer((socket) => void socket.pipe(socket)).listen(0, '127.0.0.1');
  await once(service, 'listening');
  remote = `127.0.0.1:${(service.address() as AddressInfo).port}`;
  [alice, bob, eve] = await Promise.all([node(keys.alice), node(keys.bob), node(keys.eve)]);
  const made = await alice.teleport({ peer: keys.bob.id, remote, name: 'web' });
  at = made.source.address;
  wire = await eve.transports.ensure(keys.bob.id);
  // bob's end of a path may be there a moment later.
  expect(await until(() => bob?.transports.connected.length === 2, 30_000)).toBe(true);
});
afterAll(async () => {
  await Promise.all([alice, bob, eve].map((one) => one?.close()));
  service?.close();
  await rm(folder, { recursive: true, force: true });
});

const PLACE = { LocalNetwork: 'tcp', LocalAddress: '127.0.0.1:1', RemoteNetwork: 'tcp', HashedSecret: '' };
const BODIES: Readonly<Record<string, () => Buffer>> = {
  ping: () => encodeBody({ Payload: 'x' }),
  challenge: () => Buffer.alloc(0),
  newTeleportation: () => encodeBody({ ...PLACE, Name: 'web', RemoteAddress: remote }),
  doTeleport: () => encodeBody({ Name: 'web', Label: 'web:99' }),
  closeTeleportation: () => encodeBody({ Name: 'web' }),
  closeTransport: () => Buffer.alloc(0),
};

/** Of bob's path to eve. */
const strays = () => bob?.transports.get(keys.eve.id)?.conversation.strays ?? -1;
const sinks = () =>
  bob?.sinks.all.map(({ peer, name }) => `${peer === keys.alice.id ? 'alice' : peer} ${name}`);

/** One byte through alice's teleportation and back. */
async function echo(): Promise<string> {
  const [host = '', port = ''] = at.split(':');
  const socket = connect(Number(port), host);
  socket.on('error', () => {});
  socket.write('x');
  const [data] = await once(socket, 'data');
  socket.destroy();
  return String(data);
}

describe.each(Object.keys(BODIES))('%s', (method) => {
  test('counts only from the peer of this path, for us, as it was signed, and once', async () => {
    const data = BODIES[method]?.() ?? Buffer.alloc(0);
    const header = (more: Partial<PacketHeader>): PacketHeader => ({
      ...{ type: 'request', method, session: session++, source: keys.alice.id, destination: keys.bob.id },
      ...more,
    });
    const genuine = signPacket(keys.alice, { header: header({}), data });
    const own = signPacket(keys.eve, { header: header({ source: keys.eve.id }), data });
    const hostile = [
      // What alice really signed, brought by eve; and what eve makes up in her name.
      genuine,
      signPacket(keys.eve, { header: header({}), data }),
      signPacket(keys.eve, { header: header({ source: keys.eve.id, destination: keys.alice.id }), data }),
      { ...own, header: { ...own.header, session: session++ } },
      { ...own, header: { ...own.header, method: method === 'ping' ? 'closeTransport' : 'ping' } },
      { ...own, data: Buffer.concat([data, Buffer.from('x')]) },
      { ...own, signature: Buffer.alloc(0) },
      { ...own, header: { ...own.header, type: 'response' as const } },
    ];
    const before = strays();
    for (const packet of hostile) await wire.link.sendSys(encodePacket(packet));
    expect(await until(() => strays() === before + hostile.length)).toBe(true);
    // A question that is in order, and the very same again.
    const ping = signPacket(keys.eve, {
      header: header({ source: keys.eve.id, method: 'ping' }),
      data: encodeBody({ Payload: '' }),
    });
    await wire.link.sendSys(encodePacket(ping));
    await wire.link.sendSys(encodePacket(ping));
    expect(await until(() => strays() === before + hostile.length + 1)).toBe(true);
    expect(sinks()).toEqual(['alice web']);
    expect(bob?.transports.connected.map(({ peer }) => peer).sort()).toEqual(
      [keys.alice.id, keys.eve.id].sort(),
    );
    expect(await echo()).toBe('x');
  });
});

test('eve may ask in her own name, and reaches nothing of alice’s', async () => {
  const { conversation } = wire;
  const ask = (method: string) => conversation.request(method, BODIES[method]?.() ?? Buffer.alloc(0));
  await expect(ask('doTeleport')).rejects.toThrow('teleportation not exists');
  await expect(ask('closeTeleportation')).rejects.toThrow('teleportation not exists');
  // The same name as alice's is eve's own, beside hers.
  await ask('newTeleportation');
  expect(bob?.sinks.all).toHaveLength(2);
  await ask('closeTeleportation');
  expect(sinks()).toEqual(['alice web']);
  expect(await echo()).toBe('x');
  // Nor does a stream with the name of a connection of alice's get anywhere.
  const stream = await wire.link.openStream('web:1');
  stream.on('error', () => {});
  stream.resume();
  stream.write('x');
  await new Promise((resolve) => stream.once('close', resolve));
  await eve?.closeTransport(keys.bob.id);
  expect(await until(() => bob?.transports.connected.length === 1)).toBe(true);
  expect(await echo()).toBe('x');
  expect(bob?.status().strays).toBeGreaterThanOrEqual(9 * 6);
});

test('bob closes what alice made, and so does alice; the other end follows', async () => {
  await bob?.closeTeleportation('web');
  expect(await until(() => alice?.sources.all.length === 0)).toBe(true);
  const again = await alice?.teleport({ peer: keys.bob.id, remote, name: 'web' });
  await alice?.closeTeleportation(again?.name ?? '');
  expect(await until(() => bob?.sinks.all.length === 0)).toBe(true);
});

test('connections that begin side by side all get theirs', async () => {
  const made = await alice?.teleport({ peer: keys.bob.id, remote, name: 'crowd' });
  at = made?.source.address ?? '';
  expect(await Promise.all(Array.from({ length: 100 }, echo))).toEqual(Array(100).fill('x'));
});
