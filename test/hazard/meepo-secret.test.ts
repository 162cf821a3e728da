import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Challenges } from '../../src/meepo/challenges.js';
import { meepoKeys } from '../../src/wire/meepo/keys.js';
import {
  bodyField,
  decodeBody,
  decodePacket,
  encodeBody,
  encodePacket,
  signPacket,
} from '../../src/wire/meepo/packet.js';
import { meepoPair, type PairSide } from '../support/meepo-pair.js';

const SECRET = 'AliceAndBob';
const access = { secret: SECRET };
let service: Server;
let remote = '';

beforeAll(async () => {
  service = createServer((socket) => void socket.pipe(socket)).listen(0, '127.0.0.1');
  await once(service, 'listening');
  const at = service.address();
  remote = `127.0.0.1:${typeof at === 'object' && at ? at.port : 0}`;
});
afterAll(() => service.close());

/** What this side asked for last, as the other end reads it. */
function asked(side: PairSide, method: string) {
  const packets = side.sent.map((bytes) => decodePacket(bytes));
  const packet = packets.findLast(({ header }) => header.type === 'request' && header.method === method);
  if (!packet) throw new Error(`nothing asked for ${method}`);
  const body = decodeBody(packet.data);
  const names = [
    'Name',
    'LocalNetwork',
    'LocalAddress',
    'RemoteNetwork',
    'RemoteAddress',
    'HashedSecret',
    'Nonce',
  ];
  return { packet, fields: Object.fromEntries(names.map((name) => [name, bodyField(body, name)])) };
}

const create = (side: PairSide, fields: Readonly<Record<string, string>>) =>
  side.transport.conversation.request('newTeleportation', encodeBody(fields));

test('between two awls the secret is the answer to a challenge of the far side', async () => {
  const [alice, bob] = meepoPair({}, { access });
  const made = await alice.sources.create(alice.transport, { peer: bob.keys.id, remote, secret: SECRET });
  expect(bob.sinks.all.map(({ name }) => name)).toEqual([made.name]);
  const { fields } = asked(alice, 'newTeleportation');
  expect(fields['HashedSecret']).toMatch(/^awl2:[\w+/]{43}=$/);
  expect(Buffer.from(fields['Nonce'] ?? '', 'base64')).toHaveLength(32);
  expect(alice.log.join()).toBe('');
  await expect(
    alice.sources.create(alice.transport, { peer: bob.keys.id, remote, name: 'other', secret: 'Wrong' }),
  ).rejects.toThrow('unauthorized: incorrect password');
  await alice.transport.close();
});

test('what bob got from alice opens nothing at carol, whatever bob makes of it', async () => {
  const keys = { alice: meepoKeys(), bob: meepoKeys(), carol: meepoKeys() };
  // Bob has chosen the same key for both offers.
  const offer = Buffer.alloc(32, 7);
  const [alice, bob] = meepoPair({ keys: keys.alice }, { keys: keys.bob, access }, offer);
  const [mallory, carol] = meepoPair({ keys: keys.bob }, { keys: keys.carol, access }, offer);
  // He asks carol for her challenge first, and gives it to alice as his own.
  const answer = await mallory.transport.conversation.request('challenge', Buffer.alloc(0));
  const nonce = bodyField(answer, 'Nonce');
  const own = alice.transport.conversation.request.bind(alice.transport.conversation);
  alice.transport.conversation.request = async (method, data, signal) =>
    method === 'challenge' ? decodeBody(encodeBody({ Nonce: nonce })) : own(method, data, signal);
  await alice.sources.create(alice.transport, { peer: keys.bob.id, remote, secret: SECRET }).catch(() => {});
  const { fields } = asked(alice, 'newTeleportation');
  expect(fields['Nonce']).toBe(nonce);
  await expect(create(mallory, fields)).rejects.toThrow('unauthorized: incorrect password');
  expect(carol.sinks.all).toEqual([]);
  await Promise.all([alice.transport.close(), mallory.transport.close(), bob.transport.close()]);
});

test('an answer is good once, for this place only, and not on the next path', async () => {
  const [alice, bob] = meepoPair({}, { access });
  const made = await alice.sources.create(alice.transport, { peer: bob.keys.id, remote, secret: SECRET });
  const { fields, packet } = asked(alice, 'newTeleportation');
  // The very packet again is no new request; the same words in a new one are no answer to anything.
  bob.transport.conversation.receive(encodePacket(packet));
  expect(bob.transport.conversation.strays).toBe(1);
  await expect(create(alice, fields)).rejects.toThrow('unauthorized: incorrect password');
  // A fresh challenge, answered for another place.
  const next = bodyField(await alice.transport.conversation.request('challenge', Buffer.alloc(0)), 'Nonce');
  await expect(create(alice, { ...fields, Nonce: next })).rejects.toThrow('incorrect password');
  const [again, sink] = meepoPair({ keys: alice.keys }, { keys: bob.keys, access });
  await expect(create(again, fields)).rejects.toThrow('unauthorized: incorrect password');
  // Without any nonce it is no answer either.
  await expect(create(again, { ...fields, Nonce: '' })).rejects.toThrow('incorrect password');
  expect(sink.sinks.all).toEqual([]);
  expect(alice.sources.get(made.name)).toBeDefined();
  await Promise.all([alice.transport.close(), again.transport.close()]);
});

test('a node that is no awl gets a bcrypt hash and we say so; awlSecretsOnly sends it nothing', async () => {
  const [alice, real] = meepoPair({}, { access, isAwl: false });
  const made = await alice.sources.create(alice.transport, { peer: real.keys.id, remote, secret: SECRET });
  expect(made.exposed).toBe(true);
  const { fields } = asked(alice, 'newTeleportation');
  expect(Buffer.from(fields['HashedSecret'] ?? '', 'base64').toString()).toMatch(/^\$2[ab]\$10\$/);
  expect(alice.log).toHaveLength(1);
  expect(alice.log[0]).toContain(`${real.keys.id} is no awl: it got the secret as a bcrypt hash`);
  await alice.transport.close();

  const [strict, other] = meepoPair({ awlSecretsOnly: true }, { access, isAwl: false });
  await expect(
    strict.sources.create(strict.transport, { peer: other.keys.id, remote, secret: SECRET }),
  ).rejects.toMatchObject({
    code: 'MEEPO_REFUSED',
    message: expect.stringContaining('secrets go to awl only'),
  });
  expect(strict.sent).toEqual([]);
  // Without a secret there is nothing to keep back.
  await expect(strict.sources.create(strict.transport, { peer: other.keys.id, remote })).rejects.toThrow(
    'unauthorized: require secret',
  );
  await strict.transport.close();
});

test('challenges end after a minute, and a peer that collects them pushes out only its own', () => {
  let now = 0;
  const open = new Challenges(() => now);
  const first = open.issue().toString('base64');
  now = 59_999;
  expect(open.take(first)?.toString('base64')).toBe(first);
  expect(open.take(first)).toBeUndefined();
  const late = open.issue().toString('base64');
  now += 60_000;
  expect(open.take(late)).toBeUndefined();
  const [oldest, ...rest] = Array.from({ length: 33 }, () => open.issue().toString('base64'));
  expect(open.take(oldest ?? '')).toBeUndefined();
  for (const nonce of rest) expect(open.take(nonce)).toBeDefined();
  expect(open.take('')).toBeUndefined();
});

test('guesses are checked one after the other', async () => {
  const [alice, bob] = meepoPair({}, { access });
  const tries = Array.from({ length: 8 }, (_, i) =>
    alice.sources
      .create(alice.transport, {
        peer: bob.keys.id,
        remote,
        name: `n${i}`,
        secret: i === 7 ? SECRET : `no${i}`,
      })
      .then(
        () => 'in',
        (error: Error) => error.message,
      ),
  );
  const results = await Promise.all(tries);
  expect(results.slice(0, 7)).toEqual(Array(7).fill('unauthorized: incorrect password'));
  expect(results[7]).toBe('in');
  await alice.transport.close();
});

test('a challenge that another one signed is none', async () => {
  const [alice, bob] = meepoPair({}, { access });
  const eve = meepoKeys();
  const header = {
    type: 'request',
    method: 'challenge',
    session: 5,
    source: eve.id,
    destination: bob.keys.id,
  } as const;
  bob.transport.conversation.receive(encodePacket(signPacket(eve, { header, data: Buffer.alloc(0) })));
  expect(bob.transport.conversation.strays).toBe(1);
  expect(bob.sent).toEqual([]);
  await alice.transport.close();
});
