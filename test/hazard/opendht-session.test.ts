import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AppRepository } from '../../src/identity/repository.js';
import { publicKeyInfo } from '../../src/identity/x509.js';
import { sealValue } from '../../src/rendezvous/sealing-opendht.js';
import { accept } from '../../src/session/acceptor.js';
import { invite } from '../../src/session/initiator.js';
import type { Passage } from '../../src/session/passage.js';
import type { AcceptorSettings } from '../../src/session/settings.js';
import { decodeDat, letterKey, signDat } from '../../src/wire/opendht-value.js';
import { FakeDhtNode, packed } from '../support/opendht-fake.js';
import { makeParty } from '../support/parties.js';
import { type Machine, makeWorld, until, type World } from '../support/world.js';

let world: World;
let nodes: FakeDhtNode[];
let stop: AbortController;
const open: Passage[] = [];

beforeEach(async () => {
  world = await makeWorld('alice@example.org/laptop', 'bob@example.org/nas');
  nodes = [await FakeDhtNode.start(), await FakeDhtNode.start()];
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await Promise.all(open.splice(0).map((passage) => passage.close()));
  await Promise.all(nodes.map((node) => node.close()));
  await world.close();
});

const alice = () => world.machines[0]!;
const bob = () => world.machines[1]!;
const opendht = () => ({
  name: 'opendht' as const,
  opendht: { bootstrap: nodes.map(({ hostPort }) => hostPort), port: 0, network: 0 },
});
const second = () => BigInt(Math.floor(Date.now() / 1000));

/** Bob's accept loop, taking everybody in his repository. */
async function startBob(more: Partial<AcceptorSettings> = {}) {
  const passages: Passage[] = [];
  const settings = world.settings(bob(), undefined, { signal: stop.signal, rendezvous: opendht(), ...more });
  const done = (async () => {
    for await (const passage of accept(settings)) {
      passages.push(passage);
      open.push(passage);
    }
  })();
  done.catch(() => {});
  return { passages, done };
}

const bobListens = () =>
  until('bob listens at the nodes', () => nodes.every(({ listeners }) => listeners.length > 0));

async function identities(machine: Machine) {
  const repository = new AppRepository(machine.repo);
  const peers = world.machines.filter((other) => other !== machine);
  return { host: await repository.host(machine.name), peer: await repository.peer(peers[0]!.name) };
}

/** Puts a value where bob looks for invitations. */
async function put(dat: Uint8Array, id = second()): Promise<void> {
  const { host } = await identities(bob());
  const key = letterKey(publicKeyInfo(host.cert), 'test', 'invite');
  for (const node of nodes) node.store(key, [packed(id, dat)]);
}

const REFERENCE = { endpoint: { address: '127.0.0.1', port: 40_000 }, puzzle: 5n };

test('two awls meet over nodes that only store and notify', async () => {
  const { passages } = await startBob();
  await bobListens();
  const mine = await invite(world.settings(alice(), bob(), { rendezvous: opendht() }));
  open.push(mine);
  await until('the passage of bob', () => passages.length === 1);
  expect(mine.confirmed && passages[0]!.confirmed).toBe(true);
  expect(passages[0]!.peer).toEqual(alice().name);
});

test('an invitation that came while the acceptor was away is served when it is back', async () => {
  const inviting = invite(world.settings(alice(), bob(), { rendezvous: opendht(), signal: stop.signal }));
  await until('it lies there', () => nodes.some(({ stored }) => stored.size > 0));
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const { passages } = await startBob();
  const mine = await inviting;
  open.push(mine);
  await until('the passage of bob', () => passages.length === 1);
  expect(mine.confirmed).toBe(true);
});

test('a stranger, a forged owner and a replay under a new id open nothing', async () => {
  const { passages } = await startBob();
  await bobListens();
  const [{ host, peer }] = [await identities(alice())];
  const stranger = makeParty('carol@px.test/pin', { from: new Date(0), to: new Date('2099-01-01') });
  const seal = (from: typeof host) =>
    sealValue({ app: 'test', kind: 'invite', host: from, peer, reference: REFERENCE, now: new Date() }).bytes;

  await put(seal(stranger));
  await until('the stranger is ignored', () => /has the key of its sender/.test(bob().lines.join('')));

  const { data } = decodeDat(Buffer.from(seal(stranger)));
  await put(signDat({ owner: publicKeyInfo(host.cert), data }, stranger.key).dat);
  await until('the forger is ignored', () => /does not bear the signature/.test(bob().lines.join('')));
  expect(bob().events.map(({ event }) => event)).not.toContain('stun');

  const honest = seal(host);
  await put(honest);
  await until('the honest one is answered', () => bob().events.some(({ event }) => event === 'stun'));
  for (const id of [second() + 10n, second() + 100_000n]) await put(honest, id);
  await until(
    'the replays are seen',
    () =>
      (
        bob()
          .lines.join('')
          .match(/MESSAGE_REPLAYED/g) ?? []
      ).length >= 2,
  );
  expect(bob().events.filter(({ event }) => event === 'stun')).toHaveLength(1);
  expect(passages).toHaveLength(0);
});

test('an answer to an earlier invitation is not taken for one to this', async () => {
  // Bob of before answered with plexus' values: nothing in them names the invitation, only the id does.
  const { host, peer } = await identities(bob());
  const old = sealValue({ app: 'test', kind: 'accept', host, peer, reference: REFERENCE, now: new Date() });
  const key = letterKey(publicKeyInfo(peer.cert), 'test', 'accept');
  for (const node of nodes)
    node.store(key, [packed(second() - 5n, old.bytes), packed(second() + 900n, old.bytes)]);
  const failed = invite(world.settings(alice(), bob(), { rendezvous: opendht(), responseTimeoutMs: 1500 }));
  await expect(failed).rejects.toMatchObject({ code: 'PEER_NO_ANSWER' });
  expect(alice().events.map(({ event }) => event)).toContain('invited');
});

test('an acceptor needs its whole name, because the place of its invitations is made from it', async () => {
  const { done } = await startBob({ host: { owner: 'bob@example.org' } });
  await expect(done).rejects.toMatchObject({ code: 'USAGE_MISSING' });
});

test('an identity that is missing is an error before anything is sent', async () => {
  const nobody = { owner: 'nobody', pin: 'x' };
  const failed = invite({ ...world.settings(alice(), bob(), { rendezvous: opendht() }), host: nobody });
  await expect(failed).rejects.toMatchObject({ code: 'IDENTITY_MISSING' });
  expect(nodes.flatMap(({ queries }) => queries)).toEqual([]);
});

test('a certificate that is not RSA is an error before anything is sent, on either side', async () => {
  const ec = makeParty('ec@px.test/pin', { type: 'ec', from: new Date(0), to: new Date('2099-01-01') });
  const folder = join(alice().repo, ec.name.owner, ec.name.pin);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'cert.crt'), ec.cert.pem);
  writeFileSync(join(folder, 'private.key'), ec.key.export({ type: 'pkcs8', format: 'pem' }), {
    mode: 0o600,
  });
  const settings = world.settings(alice(), bob(), { rendezvous: opendht() });
  for (const wrong of [{ host: ec.name }, { peer: ec.name }]) {
    const failed = invite({ ...settings, ...wrong });
    await expect(failed).rejects.toMatchObject({
      code: 'IDENTITY_INVALID',
      hint: expect.stringContaining('RSA'),
    });
  }
  expect(nodes.flatMap(({ queries }) => queries)).toEqual([]);
});

test('an acceptor whose nodes are not there yet says so and goes on trying', async () => {
  const later = nodes[0]!.endpoint;
  await Promise.all(nodes.map((node) => node.close()));
  const { passages } = await startBob({
    rendezvous: {
      name: 'opendht',
      opendht: { bootstrap: [{ host: later.address, port: later.port }], port: 0, network: 0 },
    },
  });
  await until(
    'it says so',
    () => /bootstrap host 127\.0\.0\.1:\d+ does not answer/.test(bob().lines.join('')),
    9000,
  );
  nodes = [await FakeDhtNode.start(randomBytes(20), later.port)];
  await until('it listens', () => nodes[0]!.listeners.length > 0, 9000);
  const mine = await invite(world.settings(alice(), bob(), { rendezvous: opendht() }));
  open.push(mine);
  await until('the passage of bob', () => passages.length === 1);
});
