import { afterEach, expect, test } from 'vitest';
import { createLogger, silentLogger } from '../../src/log.js';
import { RedisSignaling } from '../../src/meepo/redis-signaling.js';
import type { AnswerOffer } from '../../src/meepo/signaling.js';
import { parseRedisUrl } from '../../src/rendezvous/meepo/place.js';
import { openRedis, type RedisLink } from '../../src/rendezvous/meepo/redis.js';
import { REPLY_MAX_BYTES } from '../../src/rendezvous/meepo/redis-inside.js';
import { openAnswer, openOffer, sealAnswer, sealOffer } from '../../src/wire/meepo/descriptor.js';
import { EVENT_MAX_CHARS, encodeEvent, type MeepoEvent } from '../../src/wire/meepo/event.js';
import { meepoKeys } from '../../src/wire/meepo/keys.js';
import { bulk, type FakeRedis, fakeRedis } from '../support/fake-redis.js';
import { until } from '../support/meepo-nodes.js';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

const place = ({ port }: FakeRedis) => parseRedisUrl(`redis://127.0.0.1:${port}/1`);
async function server(...of: Parameters<typeof fakeRedis>): Promise<FakeRedis> {
  const made = await fakeRedis(...of);
  open.push(made);
  return made;
}

test('a message without end costs bounded memory, and the channel is heard again after it', async () => {
  const redis = await server();
  const lines: string[] = [];
  const log = createLogger({ level: 'warning', write: (line) => void lines.push(line) });
  const signal = AbortSignal.timeout(40_000);
  const link = await openRedis(place(redis), { address: '127.0.0.1', log, patient: true }, signal);
  open.push(link);
  const heard: string[] = [];
  await link.subscribe('c', (text) => void heard.push(text), signal);
  redis.publish('c', 'before');
  expect(await until(() => heard.includes('before'))).toBe(true);
  redis.publish('c', 'x'.repeat(REPLY_MAX_BYTES + 1_000_000));
  expect(await until(() => redis.connections === 2 && link.ready, 30_000)).toBe(true);
  expect(
    await until(() => {
      redis.publish('c', 'after');
      return heard.includes('after');
    }),
  ).toBe(true);
  expect(heard.every((text) => text.length < 10)).toBe(true);
  expect(lines.filter((line) => line.includes('says more at once than anybody needs'))).toHaveLength(1);
});

test('an answer without end is a named error of the command that waited for it', async () => {
  const huge = bulk('x'.repeat(REPLY_MAX_BYTES + 1_000_000));
  const redis = await server(([name]) => (name === 'GET' ? huge : undefined));
  const signal = AbortSignal.timeout(40_000);
  const options = { address: '127.0.0.1', log: silentLogger, patient: false };
  const link: RedisLink = await openRedis(place(redis), options, signal);
  open.push(link);
  await expect(link.command(['GET', 'x'], signal)).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' });
  expect(await until(() => link.ready)).toBe(true);
  expect(await link.command(['SET', 'x', 'y'], signal)).toBe('OK');
});

test('every message that is none is counted and answered by nothing; a good one behind them is answered', async () => {
  const said: string[] = [];
  let listening = false;
  const redis = await server(([name, channel = '']) => {
    if (name === 'PUBLISH') said.push(channel);
    listening ||= name === 'subscribe';
    return undefined;
  });
  const [alice, bob] = [meepoKeys(), meepoKeys()];
  const answer: AnswerOffer = async (offer) => sealAnswer(bob, openOffer(bob, offer).secret, 'v=0');
  const signaling = new RedisSignaling({ id: bob.id, place: place(redis), answer, log: silentLogger });
  open.push(signaling);
  const channel = `meepo.engine.${bob.id}`;
  expect(await until(() => listening)).toBe(true);
  const { descriptor } = sealOffer(alice, bob.id, 'v=0');
  const data = descriptor.UserData;
  const event = (more: Partial<MeepoEvent>) => encodeEvent({ name: 'wire', session: 1, descriptor, ...more });
  const forged = { ...descriptor, UserData: { ...data, nonce: Buffer.alloc(12).toString('base64') } };
  const bad = [
    '',
    'no base64!',
    Buffer.from('no gzip').toString('base64'),
    'A'.repeat(EVENT_MAX_CHARS + 1),
    // An offer that nobody signed, one of somebody else, and one without an offer.
    event({ session: 2, descriptor: forged }),
    event({ session: 3, descriptor: { ...descriptor, ID: meepoKeys().id } }),
    encodeEvent({ name: 'wire', session: 4 }),
  ];
  for (const text of bad) redis.publish(channel, text);
  expect(await until(() => signaling.strays === bad.length)).toBe(true);
  expect(said).toEqual([]);
  redis.publish(channel, event({}));
  expect(await until(() => said.length === 1)).toBe(true);
  // The same again is no second offer, and is answered by nothing.
  redis.publish(channel, event({}));
  redis.publish(channel, 'the end');
  expect(await until(() => signaling.strays === bad.length + 1)).toBe(true);
  expect(said).toEqual([`meepo.engine.${alice.id}`]);
  expect(signaling.status).toMatchObject({ name: 'redis', ready: true });
});

test('all addresses of a name are used: a dead one holds nobody up, and what comes by two is answered once', async () => {
  const first = await server();
  const { port } = first;
  const second = await server(undefined, { host: '127.0.0.2', port });
  const [alice, bob] = [meepoKeys(), meepoKeys()];
  let answered = 0;
  const answer: AnswerOffer = async (offer) => {
    answered += 1;
    return sealAnswer(bob, openOffer(bob, offer).secret, 'v=0 answer');
  };
  const lookup = async () => ['127.0.0.3', '127.0.0.1', '127.0.0.2'];
  const of = (id: string) => {
    const signaling = new RedisSignaling({ id, place: place(first), answer, lookup, log: silentLogger });
    open.push(signaling);
    return signaling;
  };
  const [ours, theirs] = [of(alice.id), of(bob.id)];
  const call = async () => {
    const { descriptor, secret } = sealOffer(alice, bob.id, 'v=0');
    return openAnswer(bob.id, secret, await ours.wire(bob.id, descriptor, AbortSignal.timeout(20_000)));
  };
  expect(await until(() => ours.ready === 2 && theirs.ready === 2)).toBe(true);
  expect(await until(() => [first, second].every((one) => one.channels.size === 2))).toBe(true);
  expect(await call()).toBe('v=0 answer');
  expect(answered).toBe(1);
  await first.close();
  expect(await until(() => ours.ready === 1 && theirs.ready === 1)).toBe(true);
  expect(await call()).toBe('v=0 answer');
  expect(answered).toBe(2);
});
