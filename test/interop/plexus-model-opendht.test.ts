import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { silentLogger } from '../../src/log.js';
import { openRendezvous, type RendezvousSettings } from '../../src/rendezvous/registry.js';
import type { Envelope, Letter, Rendezvous } from '../../src/rendezvous/types.js';
import { accept } from '../../src/session/acceptor.js';
import { invite } from '../../src/session/initiator.js';
import { UdpSocket } from '../../src/util/udp.js';
import { DhtLab } from '../support/dhtnodes.js';
import { needs } from '../support/needs.js';
import { plexusDat, plexusKeyInfo, plexusRead } from '../support/plexus-dht-model.js';
import {
  type Keys,
  plexusAcceptHandshake,
  plexusInviteHandshake,
  plexusReference,
} from '../support/plexus-model.js';
import { type Machine, makeWorld, until, type World } from '../support/world.js';

const ready = needs('dhtnode', 'openssl');
let lab: DhtLab;
let world: World;
let settings: RendezvousSettings;
let plexus: Rendezvous;
let socket: UdpSocket;
let stop: AbortController;

beforeAll(async () => {
  if (ready) lab = await DhtLab.start(3, { network: 5 });
});
afterAll(() => lab?.close());

beforeEach(async () => {
  world = await makeWorld('alice@example.org/laptop', 'bob@example.org/nas');
  settings = { name: 'opendht', opendht: { bootstrap: lab?.bootstrap() ?? [], port: 0, network: 5 } };
  if (ready) plexus = await openRendezvous(settings, { log: silentLogger, now: () => new Date() });
  socket = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await plexus?.close();
  await socket.close();
  await world.close();
});

const machines = () => world.machines as [Machine, Machine];
const puzzle = () => randomBytes(8).readBigUInt64LE();
const keysOf = (machine: Machine, of: Machine): Keys => {
  const folder = join(machine.repo, of.name.owner, of.name.pin);
  return { cert: join(folder, 'cert.crt'), key: join(folder, 'private.key') };
};

/** A value that plexus makes, as the letter that carries it. */
function plexusLetter(kind: Letter['kind'], text: string, from: Machine, to: Machine): Letter {
  return {
    app: 'test',
    kind,
    from: from.name,
    to: to.name,
    form: 'opendht',
    bytes: plexusDat(text, keysOf(from, from), keysOf(from, to).cert),
    toKey: plexusKeyInfo(keysOf(from, to).cert),
  };
}

async function firstLetter(kind: 'invite' | 'accept', to: Machine, from: Machine): Promise<Envelope> {
  const filter = {
    app: 'test',
    kind,
    to: to.name,
    toKey: plexusKeyInfo(keysOf(to, to).cert),
    from: from.name,
    fromKey: plexusKeyInfo(keysOf(to, from).cert),
  };
  for await (const envelope of plexus.listen(filter, stop.signal)) return envelope;
  throw new Error(`no ${kind} came`);
}

for (const named of [true, false]) {
  test.skipIf(!ready)(
    `a plexus 3.1.4 inviter gets through to an awl acceptor that ${named ? 'names it' : 'takes everybody in its repository'}`,
    async () => {
      const [alice, bob] = machines();
      const passages = accept(
        world.settings(bob, named ? alice : undefined, { signal: stop.signal, rendezvous: settings }),
      );
      const next = passages.next();
      next.catch(() => {});
      await until('bob listening', () => bob.events.some(({ event }) => event === 'listening'));
      const own = puzzle();
      const text = `PLEXUS 3.0 127.0.0.1 ${socket.local.port} ${own}`;
      await plexus.prepare(stop.signal);
      await plexus.push(plexusLetter('invite', text, alice, bob), stop.signal);
      const answer = await firstLetter('accept', alice, bob);
      // A plexus inviter waits for the very id of its invitation and reads no more than body and signature.
      const reading = plexusRead(answer.bytes, keysOf(alice, alice), keysOf(alice, bob).cert);
      const { endpoint, puzzle: theirs } = plexusReference(reading);
      expect(Buffer.from(answer.bytes).includes('utype')).toBe(false);
      await plexusInviteHandshake(socket, endpoint, own ^ theirs);
      await socket.send(Buffer.from('first bytes of the application'), endpoint);
      const { value: passage } = await next;
      expect(passage).toMatchObject({
        secret: own ^ theirs,
        confirmed: false,
        alien: socket.local,
        peer: alice.name,
      });
      await passage?.close();
      stop.abort();
      await passages.return(undefined);
    },
  );
}

test.skipIf(!ready)('an awl initiator gets through to a plexus 3.1.4 acceptor', async () => {
  const [alice, bob] = machines();
  await plexus.prepare(stop.signal);
  const inviting = invite(world.settings(alice, bob, { signal: stop.signal, rendezvous: settings }));
  inviting.catch(() => {});
  const invitation = await firstLetter('invite', bob, alice);
  // Plexus ignores values that are older than itself by their id, which counts seconds.
  expect(Math.abs(Number(invitation.id) - Date.now() / 1000)).toBeLessThan(5);
  const { endpoint, puzzle: theirs } = plexusReference(
    plexusRead(invitation.bytes, keysOf(bob, bob), keysOf(bob, alice).cert),
  );
  const own = puzzle();
  const text = `PLEXUS 3.0 127.0.0.1 ${socket.local.port} ${own}`;
  await plexus.push({ ...plexusLetter('accept', text, bob, alice), answers: invitation.id }, stop.signal);
  await plexusAcceptHandshake(socket, endpoint, own ^ theirs);
  const passage = await inviting;
  expect(passage).toMatchObject({ secret: own ^ theirs, confirmed: false, alien: socket.local });
  await passage.close();
});

test.skipIf(!ready)('an old value of plexus, put again under a new id, opens nothing', async () => {
  const [alice, bob] = machines();
  const passages = accept(
    world.settings(bob, alice, { signal: stop.signal, rendezvous: settings, handshakeTimeoutMs: 500 }),
  );
  const next = passages.next();
  next.catch(() => {});
  await until('bob listening', () => bob.events.some(({ event }) => event === 'listening'));
  await plexus.prepare(stop.signal);
  const letter = plexusLetter('invite', `PLEXUS 3.0 127.0.0.1 ${socket.local.port} 5`, alice, bob);
  const future = String(Math.floor(Date.now() / 1000) + 3600);
  await plexus.push(letter, stop.signal);
  await until('the first is answered', () => bob.events.some(({ event }) => event === 'failed'), 15_000);
  await plexus.push({ ...letter, answers: future }, stop.signal);
  await until('the second is looked at', () => /MESSAGE_REPLAYED/.test(bob.lines.join('')));
  expect(bob.events.filter(({ event }) => event === 'stun')).toHaveLength(1);
  stop.abort();
  await passages.return(undefined);
});
