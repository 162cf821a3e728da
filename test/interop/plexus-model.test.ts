import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLogger } from '../../src/log.js';
import { openRendezvous } from '../../src/rendezvous/registry.js';
import type { Envelope, Rendezvous } from '../../src/rendezvous/types.js';
import { accept } from '../../src/session/acceptor.js';
import { invite } from '../../src/session/initiator.js';
import { UdpSocket } from '../../src/util/udp.js';
import { needs } from '../support/needs.js';
import {
  type Keys,
  plexusAcceptHandshake,
  plexusInviteHandshake,
  plexusOpen,
  plexusReference,
  plexusSeal,
} from '../support/plexus-model.js';
import { type Machine, makeWorld, until, type World } from '../support/world.js';

const ready = needs('openssl');
let world: World;
let rendezvous: Rendezvous;
let socket: UdpSocket;
let stop: AbortController;

const keysOf = (machine: Machine, of: Machine): Keys => {
  const folder = join(machine.repo, of.name.owner, of.name.pin);
  return { cert: join(folder, 'cert.crt'), key: join(folder, 'private.key') };
};
const puzzle = () => randomBytes(8).readBigUInt64LE();

beforeEach(async () => {
  world = await makeWorld('alice@example.org/laptop', 'bob@example.org/nas');
  rendezvous = await openRendezvous(
    { name: 'file', folder: world.folder },
    { log: silentLogger, now: () => new Date() },
  );
  socket = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await rendezvous.close();
  await socket.close();
  await world.close();
});

async function firstLetter(kind: 'invite' | 'accept', to: Machine, from: Machine): Promise<Envelope> {
  const filter = { app: 'test', kind, to: to.name, from: from.name };
  for await (const envelope of rendezvous.listen(filter, stop.signal)) return envelope;
  throw new Error(`no ${kind} came`);
}

test.skipIf(!ready)('a plexus 3.1.4 inviter gets through to an awl acceptor', async () => {
  const [alice, bob] = world.machines as [Machine, Machine];
  const passages = accept(world.settings(bob, alice, { signal: stop.signal }));
  const next = passages.next();
  await until('bob listening', () => bob.events.some(({ event }) => event === 'listening'));
  await rendezvous.prepare(stop.signal);

  const own = puzzle();
  const text = `PLEXUS 3.0 127.0.0.1 ${socket.local.port} ${own}`;
  await rendezvous.push(
    {
      app: 'test',
      kind: 'invite',
      from: alice.name,
      to: bob.name,
      form: 'smime',
      bytes: plexusSeal(text, keysOf(alice, alice), keysOf(alice, bob).cert),
    },
    stop.signal,
  );
  const answer = await firstLetter('accept', alice, bob);
  const { endpoint, puzzle: theirs } = plexusReference(
    plexusOpen(answer.bytes, keysOf(alice, alice), keysOf(alice, bob).cert),
  );
  await plexusInviteHandshake(socket, endpoint, own ^ theirs);
  // The inviter's program starts at once; an awl that still shakes hands takes its traffic as the proof.
  await socket.send(Buffer.from('first bytes of the application'), endpoint);

  const { value: passage } = await next;
  expect(passage).toMatchObject({ secret: own ^ theirs, confirmed: false, alien: socket.local });
  expect(passage?.sessionKey).toBeUndefined();
  await passage?.close();
  stop.abort();
  await passages.return(undefined);
});

test.skipIf(!ready)('an awl initiator gets through to a plexus 3.1.4 acceptor', async () => {
  const [alice, bob] = world.machines as [Machine, Machine];
  await rendezvous.prepare(stop.signal);
  const inviting = invite(world.settings(alice, bob, { signal: stop.signal }));
  inviting.catch(() => {});
  const invitation = await firstLetter('invite', bob, alice);
  const { endpoint, puzzle: theirs } = plexusReference(
    plexusOpen(invitation.bytes, keysOf(bob, bob), keysOf(bob, alice).cert),
  );
  const own = puzzle();
  await rendezvous.push(
    {
      app: 'test',
      kind: 'accept',
      from: bob.name,
      to: alice.name,
      form: 'smime',
      bytes: plexusSeal(
        `PLEXUS 3.0 127.0.0.1 ${socket.local.port} ${own}`,
        keysOf(bob, bob),
        keysOf(bob, alice).cert,
      ),
    },
    stop.signal,
  );
  await plexusAcceptHandshake(socket, endpoint, own ^ theirs);
  const passage = await inviting;
  expect(passage).toMatchObject({ secret: own ^ theirs, confirmed: false, alien: socket.local });
  await passage.close();
});

test.skipIf(!ready)(
  'plexus in clear is heard only where plaintext was typed and no certificate is there',
  async () => {
    const [alice, bob] = world.machines as [Machine, Machine];
    const stranger = { owner: 'carol@example.org', pin: 'old' };
    const own = puzzle();
    const say = () =>
      rendezvous.push(
        {
          app: 'test',
          kind: 'invite',
          from: stranger,
          to: bob.name,
          form: 'plain',
          bytes: Buffer.from(`PLEXUS 3.0 127.0.0.1 ${socket.local.port} ${own}`),
        },
        stop.signal,
      );
    const run = async (allowPlaintext: boolean) => {
      const control = new AbortController();
      const passages = accept({
        ...world.settings(bob, undefined, { signal: control.signal, allowPlaintext }),
        peer: stranger,
      });
      return { control, passages, next: passages.next() };
    };
    await rendezvous.prepare(stop.signal);
    const strict = await run(false);
    await expect(strict.next).rejects.toMatchObject({ code: 'IDENTITY_MISSING' });

    const loose = await run(true);
    await until('bob listening', () => bob.events.some(({ event }) => event === 'listening'));
    await say();
    const filter = { app: 'test', kind: 'accept', to: stranger, from: bob.name } as const;
    for await (const answer of rendezvous.listen(filter, stop.signal)) {
      const { endpoint, puzzle: theirs } = plexusReference(Buffer.from(answer.bytes).toString());
      await plexusInviteHandshake(socket, endpoint, own ^ theirs);
      await socket.send(Buffer.from('application'), endpoint);
      break;
    }
    const { value: passage } = await loose.next;
    expect(passage?.confirmed).toBe(false);
    await passage?.close();
    loose.control.abort();
    await loose.passages.return(undefined);
    expect(alice.events).toEqual([]);
  },
);
