import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { silentLogger } from '../../src/log.js';
import { openRendezvous } from '../../src/rendezvous/registry.js';
import type { Rendezvous } from '../../src/rendezvous/types.js';
import { accept } from '../../src/session/acceptor.js';
import { invite } from '../../src/session/initiator.js';
import type { Passage } from '../../src/session/passage.js';
import type { Endpoint } from '../../src/util/endpoint.js';
import { UdpSocket } from '../../src/util/udp.js';
import { parseQos, type Qos } from '../../src/wire/reference-terms.js';
import { needs } from '../support/needs.js';
import { type Keys, plexusOpen, plexusSeal } from '../support/plexus-model.js';
import {
  type Plexus34Text,
  plexus34Handshake,
  plexus34Read,
  plexus34Text,
} from '../support/plexus34-model.js';
import { type Machine, makeWorld, until, type World } from '../support/world.js';

const ready = needs('openssl');
const LOOPBACK = '127.0.0.1';
let world: World;
let rendezvous: Rendezvous;
let socket: UdpSocket;
/** Where the model's program has its TCP. */
let tcp: Endpoint;
let stop: AbortController;

const keysOf = (machine: Machine, of: Machine): Keys => {
  const folder = join(machine.repo, of.name.owner, of.name.pin);
  return { cert: join(folder, 'cert.crt'), key: join(folder, 'private.key') };
};
const puzzle = () => randomBytes(8).readBigUInt64LE();
const qos = (text: string): Qos => parseQos(text) ?? expect.unreachable(text);

async function freePort(): Promise<number> {
  const server = createServer().listen(0, LOOPBACK);
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

beforeEach(async () => {
  world = await makeWorld('alice@example.org/laptop', 'bob@example.org/nas');
  rendezvous = await openRendezvous(
    { name: 'file', folder: world.folder },
    { log: silentLogger, now: () => new Date() },
  );
  socket = await UdpSocket.bind({ address: LOOPBACK, port: 0 });
  tcp = { address: LOOPBACK, port: await freePort() };
  stop = new AbortController();
  await rendezvous.prepare(stop.signal);
});
afterEach(async () => {
  stop.abort();
  await rendezvous.close();
  await socket.close();
  await world.close();
});

/** The model's half of the exchange, as the inviter or the acceptor. */
async function push(kind: 'invite' | 'accept', from: Machine, to: Machine, text: Plexus34Text) {
  const bytes = plexusSeal(plexus34Text(text), keysOf(from, from), keysOf(from, to).cert);
  const letter = { app: 'test', kind, from: from.name, to: to.name, form: 'smime', bytes } as const;
  await rendezvous.push(letter, stop.signal);
}

async function pull(kind: 'invite' | 'accept', to: Machine, from: Machine) {
  const filter = { app: 'test', kind, to: to.name, from: from.name };
  for await (const { bytes } of rendezvous.listen(filter, stop.signal)) {
    const text = plexusOpen(bytes, keysOf(to, to), keysOf(to, from).cert);
    return { text, ...plexus34Read(text) };
  }
  throw new Error(`no ${kind} came`);
}

/** What two programs do with a TCP passage: one listens at its place, the other connects from its own. */
async function talk(server: Endpoint, client: Endpoint): Promise<string> {
  const listener = createServer((peer) => peer.end('from the server')).listen(server.port, server.address);
  await once(listener, 'listening');
  const program = connect({ ...target(server), localAddress: client.address, localPort: client.port });
  try {
    let text = '';
    for await (const piece of program) text += String(piece);
    return text;
  } finally {
    program.destroy();
    listener.close();
  }
}
const target = ({ address, port }: Endpoint) => ({ host: address, port });

async function startAcceptor(bob: Machine, alice: Machine, wish?: string) {
  const passages = accept(
    world.settings(bob, alice, { signal: stop.signal, ...(wish && { qos: qos(wish) }) }),
  );
  const next = passages.next();
  next.catch(() => {});
  await until('bob listening', () => bob.events.some(({ event }) => event === 'listening'));
  return {
    passage: next.then(({ value }) => value as Passage),
    end: async () => {
      stop.abort();
      await passages.return(undefined);
    },
  };
}

describe.skipIf(!ready)('a plexus 3.4 that asks for more than 3.0 can say', () => {
  test('as inviter and tcp:client it meets an awl that serves, and the programs connect', async () => {
    const [alice, bob] = world.machines as [Machine, Machine];
    const acceptor = await startAcceptor(bob, alice, 'tcp:server');
    const own = puzzle();
    await push('invite', alice, bob, { udp: socket.local, tcp, qos: 'tcp:client', puzzle: own });
    const answer = await pull('accept', alice, bob);
    expect(answer.text).toMatch(/^PLEXUS 3\.3 /);
    expect(answer.qos).toBe('tcp:server');
    await plexus34Handshake(socket, answer.udp, own ^ answer.puzzle, 'invite', 'client');
    const passage = await acceptor.passage;
    expect(passage).toMatchObject({ transport: 'tcp', qos: 'tcp:server', alien: tcp, outer: answer.tcp });
    await passage.close();
    expect(await talk(passage.inner, tcp)).toBe('from the server');
    await acceptor.end();
  });

  test('as acceptor and tcp:server it is met by an awl client a second after the handshake', async () => {
    const [alice, bob] = world.machines as [Machine, Machine];
    const inviting = invite(world.settings(alice, bob, { signal: stop.signal, qos: qos('tcp:either') }));
    inviting.catch(() => {});
    const invitation = await pull('invite', bob, alice);
    expect(invitation.qos).toBe('tcp:either');
    const own = puzzle();
    await push('accept', bob, alice, { udp: socket.local, tcp, qos: 'tcp:server', puzzle: own });
    await plexus34Handshake(socket, invitation.udp, own ^ invitation.puzzle, 'accept', 'server');
    const met = performance.now();
    const passage = await inviting;
    expect(performance.now() - met).toBeGreaterThan(900);
    expect(passage).toMatchObject({ transport: 'tcp', qos: 'tcp:client', alien: tcp, outer: invitation.tcp });
    await passage.close();
    expect(await talk(tcp, passage.inner)).toBe('from the server');
  });

  test.each([
    ['udp:server', 'udp:client'],
    ['udp:mutual', 'udp:mutual'],
    ['any:either', 'udp:server'],
  ])('an awl that was told nothing takes its %s as %s, and says 3.0', async (wish, role) => {
    const [alice, bob] = world.machines as [Machine, Machine];
    const acceptor = await startAcceptor(bob, alice);
    const own = puzzle();
    await push('invite', alice, bob, { udp: socket.local, tcp, qos: wish, puzzle: own });
    const answer = await pull('accept', alice, bob);
    expect(answer.text).toMatch(/^PLEXUS 3\.0 /);
    await plexus34Handshake(socket, answer.udp, own ^ answer.puzzle, 'invite', wish.slice(4));
    await socket.send(Buffer.from('first bytes of the application'), answer.udp);
    const passage = await acceptor.passage;
    expect(passage).toMatchObject({ transport: 'udp', qos: role, alien: socket.local, confirmed: false });
    await passage.close();
    await acceptor.end();
  });

  test('what does not meet is answered, so that both sides know, and no datagram goes out', async () => {
    const [alice, bob] = world.machines as [Machine, Machine];
    const acceptor = await startAcceptor(bob, alice);
    const heard: Buffer[] = [];
    socket.subscribe((data) => heard.push(data));
    await push('invite', alice, bob, { udp: socket.local, tcp, qos: 'tcp:client', puzzle: puzzle() });
    expect((await pull('accept', alice, bob)).qos).toBe('udp:either');
    await until('the failure', () => bob.events.some(({ event }) => event === 'failed'));
    expect(bob.events.find(({ event }) => event === 'failed')).toMatchObject({
      code: 'TERMS_UNMET',
      message: expect.stringMatching(/udp:either.*tcp:client/),
    });
    expect(heard).toEqual([]);
    await acceptor.end();
  });
});

describe('two awls', () => {
  test.each([
    ['tcp:either', 'tcp:either', 'tcp:server', 'tcp:client'],
    ['ssl:client', 'any:either', 'ssl:client', 'ssl:server'],
    ['any:mutual', 'tcp:mutual', 'tcp:mutual', 'tcp:mutual'],
  ])('%s and %s agree, prove each other over UDP and hand over TCP', async (bobs, alices, bobIs, aliceIs) => {
    const [alice, bob] = world.machines as [Machine, Machine];
    const acceptor = await startAcceptor(bob, alice, bobs);
    const mine = await invite(world.settings(alice, bob, { signal: stop.signal, qos: qos(alices) }));
    const theirs = await acceptor.passage;
    expect(mine).toMatchObject({ transport: 'tcp', qos: aliceIs, confirmed: true, alien: theirs.outer });
    expect(theirs).toMatchObject({ transport: 'tcp', qos: bobIs, confirmed: true, alien: mine.outer });
    expect(mine.sessionKey).toEqual(theirs.sessionKey);
    await Promise.all([mine.close(), theirs.close()]);
    expect(await talk(theirs.inner, mine.inner)).toBe('from the server');
    await acceptor.end();
  });

  test('roles that do not fit end both sides with the reason', async () => {
    const [alice, bob] = world.machines as [Machine, Machine];
    const acceptor = await startAcceptor(bob, alice, 'udp:server');
    const settings = world.settings(alice, bob, { signal: stop.signal, qos: qos('udp:server') });
    await expect(invite(settings)).rejects.toMatchObject({
      code: 'TERMS_UNMET',
      message: expect.stringMatching(/roles do not fit/),
    });
    await until('the failure', () => bob.events.some(({ event }) => event === 'failed'));
    await acceptor.end();
  });
});
