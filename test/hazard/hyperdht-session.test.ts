import { afterEach, beforeEach, expect, test } from 'vitest';
import { AppRepository } from '../../src/identity/repository.js';
import { publicKeyInfo } from '../../src/identity/x509.js';
import { loadLibrary } from '../../src/rendezvous/hyperdht/library.js';
import { placeOf } from '../../src/rendezvous/hyperdht/place.js';
import { accept } from '../../src/session/acceptor.js';
import { invite } from '../../src/session/initiator.js';
import type { Passage } from '../../src/session/passage.js';
import { Squatter, silentServer } from '../support/squatter.js';
import { Testnet } from '../support/testnet.js';
import { makeWorld, until, type World } from '../support/world.js';

let world: World;
let net: Testnet;
let stop: AbortController;
const open: Passage[] = [];
const ending: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  world = await makeWorld('alice@example.org/laptop', 'bob@example.org/nas');
  net = await Testnet.start(3);
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await Promise.all(open.splice(0).map((passage) => passage.close()));
  for (const end of ending.splice(0)) await end();
  await net.down();
  await world.close();
});

const alice = () => world.machines[0]!;
const bob = () => world.machines[1]!;
const rendezvous = () => ({ rendezvous: { name: 'hyperdht' as const, hyperdht: net.settings } });
const inviting = (more = {}) => invite(world.settings(alice(), bob(), { ...rendezvous(), ...more }));

/** Starts bob's accept loop and collects its passages until `signal` aborts. */
function startBob(signal = stop.signal): { passages: Passage[]; done: Promise<void> } {
  const passages: Passage[] = [];
  const done = (async () => {
    const settings = world.settings(bob(), alice(), { ...rendezvous(), signal });
    for await (const passage of accept(settings)) {
      passages.push(passage);
      open.push(passage);
    }
  })();
  done.catch(() => {});
  return { passages, done };
}

async function bobListens(): Promise<void> {
  await until('bob listening', () => bob().events.some(({ event }) => event === 'listening'));
}

async function bobsTopic(): Promise<Buffer> {
  const { cert } = await new AppRepository(alice().repo).peer(bob().name);
  return placeOf('test', publicKeyInfo(cert)).topic;
}

test('two awls meet over HyperDHT: confirmed on both sides, in both orders of starting', async () => {
  const first = inviting();
  const { passages, done } = startBob();
  const mine = await first;
  open.push(mine);
  await until('bob’s passage', () => passages.length === 1);
  expect(mine.confirmed && passages[0]!.confirmed).toBe(true);
  expect(mine.secret).toBe(passages[0]!.secret);
  const second = await inviting();
  open.push(second);
  await until('bob’s second passage', () => passages.length === 2);
  expect(second.confirmed).toBe(true);
  expect(second.secret).not.toBe(mine.secret);
  stop.abort();
  await done;
});

test('an inviter who is there before the acceptor restarts is served when it is back', async () => {
  const before = new AbortController();
  const old = startBob(before.signal);
  await bobListens();
  before.abort();
  await old.done;
  const waiting = inviting();
  await until('the invitation', () => alice().events.some(({ event }) => event === 'invited'));
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const { passages } = startBob();
  const mine = await waiting;
  open.push(mine);
  await until('bob’s passage', () => passages.length === 1);
  expect(mine.confirmed).toBe(true);
});

test('an old acceptor that crashed or froze holds nobody up: the new one is found beside it', async () => {
  const library = loadLibrary();
  const topic = await bobsTopic();
  for (let i = 0; i < 3; i++) {
    const frozen = await silentServer(library, net.settings.bootstrap, topic);
    ending.push(() => frozen.destroy({ force: true }));
  }
  const { passages } = startBob();
  await bobListens();
  const begun = performance.now();
  const mine = await inviting();
  open.push(mine);
  await until('bob’s passage', () => passages.length === 1);
  expect(mine.confirmed).toBe(true);
  expect(performance.now() - begun).toBeLessThan(4000);
});

test.each(['garbage', 'waiting', 'forgetful', 'forged'] as const)(
  'a squatter who has the certificate (%s) can neither answer nor block, and sees no endpoint',
  async (manner) => {
    const { cert } = await new AppRepository(alice().repo).peer(bob().name);
    const place = placeOf('test', publicKeyInfo(cert));
    const squatter = await Squatter.start(net.settings.bootstrap, place, manner, 6);
    ending.push(() => squatter.close());
    const { passages } = startBob();
    await bobListens();
    const mine = await inviting();
    open.push(mine);
    await until('bob’s passage', () => passages.length === 1);
    expect(mine.confirmed).toBe(true);
    expect(squatter.seen.length).toBeGreaterThan(0);
    const everything = Buffer.concat(squatter.seen).toString('latin1');
    expect(everything).not.toContain('PLEXUS');
    expect(everything).not.toContain(String(mine.inner.port));
  },
);
