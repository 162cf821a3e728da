import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { AppRepository } from '../../src/identity/repository.js';
import { publicKeyInfo } from '../../src/identity/x509.js';
import { createLogger } from '../../src/log.js';
import { openOpendht } from '../../src/rendezvous/opendht/backend.js';
import type { OpendhtSettings } from '../../src/rendezvous/opendht/settings.js';
import { roundTrip } from '../../src/rendezvous/round-trip.js';
import { openValue, sealValue } from '../../src/rendezvous/sealing-opendht.js';
import type { Letter, LetterFilter, Rendezvous } from '../../src/rendezvous/types.js';
import { accept } from '../../src/session/acceptor.js';
import { invite } from '../../src/session/initiator.js';
import type { Passage } from '../../src/session/passage.js';
import { encodeMsgpack } from '../../src/wire/msgpack.js';
import { decodeValue, letterKey, signDat } from '../../src/wire/opendht-value.js';
import { Listening } from '../support/backend-contract.js';
import { DhtLab } from '../support/dhtnodes.js';
import { needs } from '../support/needs.js';
import { heldUnder, newNode, putRaw } from '../support/opendht-bench.js';
import { makeParty } from '../support/parties.js';
import { capturedValues } from '../support/plexus-dht.js';
import { makeWorld, until } from '../support/world.js';

const ready = needs('dhtnode');
const NETWORK = 42;
let lab: DhtLab;
const open: Rendezvous[] = [];
const day = 24 * 3600_000;
const dates = { from: new Date(Date.now() - day), to: new Date(Date.now() + day) };
const alice = makeParty('alice@awl.test/laptop', dates);
const bob = makeParty('bob@awl.test/nas', dates);
const aliceKey = publicKeyInfo(alice.cert);
const bobKey = publicKeyInfo(bob.cert);
const signal = (ms = 20_000) => AbortSignal.timeout(ms);
const lines: string[] = [];
const ctx = {
  log: createLogger({ level: 'trace', write: (line) => lines.push(line) }),
  now: () => new Date(),
};
let serial = 0;
const freshApp = () => `dht${process.pid}x${++serial}`;

beforeAll(async () => {
  if (ready) lab = await DhtLab.start(4, { network: NETWORK });
});
afterAll(() => lab?.close());
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
});

async function join(more: Partial<OpendhtSettings> = {}): Promise<Rendezvous> {
  const one = await openOpendht({ bootstrap: lab.bootstrap(), port: 0, network: NETWORK, ...more }, ctx);
  open.push(one);
  return one;
}

function letter(app: string, more: { extended?: boolean; data?: Buffer } = {}): Letter {
  const sealed = more.data
    ? { form: 'opendht' as const, bytes: signDat({ owner: aliceKey, data: more.data }, alice.key).dat }
    : sealValue({
        app,
        kind: 'invite',
        host: alice,
        peer: bob,
        reference: { endpoint: { address: '203.0.113.7', port: 40_001 }, puzzle: 5n },
        ...(more.extended !== false && { extension: { caps: ['confirm'], dh: randomBytes(32) } }),
        now: new Date(),
      });
  const { form, bytes } = sealed;
  return {
    app,
    kind: 'invite',
    from: alice.name,
    to: bob.name,
    form,
    bytes,
    toKey: bobKey,
    fromKey: aliceKey,
  };
}

const filterOf = (app: string): LetterFilter => ({
  app,
  kind: 'invite',
  to: bob.name,
  toKey: bobKey,
  from: alice.name,
  fromKey: aliceKey,
});

test.skipIf(!ready)('the letter that awl doctor sends to itself comes back', async () => {
  const one = await join();
  await one.prepare(signal());
  expect(await roundTrip(one, signal())).toBeLessThan(5000);
});

test.skipIf(!ready)('a sealed letter with an extension comes back from the nodes byte for byte', async () => {
  const [a, b] = [await join(), await join()];
  const app = freshApp();
  await b.prepare(signal());
  const listening = new Listening(b, filterOf(app));
  const sent = letter(app);
  await a.push(sent, signal());
  const [got] = await listening.take(1);
  expect(got?.bytes).toEqual(sent.bytes);
  const opened = openValue(got!, { app, kind: 'invite', host: bob, peer: alice, now: new Date() });
  expect(opened.extension?.caps).toEqual(['confirm']);
  await listening.stop();
});

test.skipIf(!ready)('dhtnode itself verifies our signature, with and without a user type', async () => {
  const tools = await newNode(NETWORK);
  const reader = lab.nodes[2]!;
  const shown = async (bytes: Uint8Array) => {
    const key = letterKey(bobKey, freshApp(), 'invite');
    await putRaw(tools, lab, key, { id: 7n, dat: bytes });
    const before = reader.output.length;
    reader.command(`g ${key.toString('hex')}`);
    await until('dhtnode answers', () => /Get: (completed|failure)/.test(reader.output.slice(before)));
    return /Value\[id:7 signed/.test(reader.output.slice(before));
  };
  for (const extended of [true, false]) {
    const { bytes } = letter('app', { extended });
    expect(await shown(bytes)).toBe(true);
    // Plexus verifies with the same library: it throws a value away whose signature does not fit.
    const forged = Buffer.from(bytes);
    forged[forged.length - 1]! ^= 1;
    expect(await shown(forged)).toBe(false);
  }
  await tools.close();
});

test.skipIf(!ready)(
  'a letter that lies there already is delivered to a listener that comes late',
  async () => {
    const a = await join();
    const app = freshApp();
    await a.push(letter(app), signal());
    await a.close();
    const b = await join({ bootstrap: lab.bootstrap(4).slice(3) });
    await b.prepare(signal());
    const begun = performance.now();
    const listening = new Listening(b, filterOf(app));
    expect(await listening.take(1, 5000)).toHaveLength(1);
    expect(performance.now() - begun).toBeLessThan(4000);
    await listening.stop();
  },
);

test.skipIf(!ready)('values of many fragments pass both ways', async () => {
  const [a, b] = [await join(), await join()];
  const app = freshApp();
  await b.prepare(signal());
  const listening = new Listening(b, filterOf(app));
  const sent = letter(app, { data: randomBytes(12_000) });
  await a.push(sent, signal());
  expect((await listening.take(1))[0]?.bytes).toEqual(sent.bytes);
  await listening.stop();
});

test.skipIf(!ready)('captured values of the real plexus travel unchanged through awl', async () => {
  const [a, b] = [await join(), await join()];
  await b.prepare(signal());
  for (const { raw } of capturedValues()) {
    const app = freshApp();
    const { dat } = decodeValue(raw);
    const listening = new Listening(b, { app, kind: 'invite', to: bob.name, toKey: bobKey, from: {} });
    await a.push({ ...letter(app), bytes: dat }, signal());
    expect((await listening.take(1))[0]?.bytes).toEqual(dat);
    await listening.stop();
  }
});

test.skipIf(!ready)(
  'two processes that invite in the same second under the same id both get through',
  async () => {
    const [b, tools] = [await join(), await newNode(NETWORK)];
    const app = freshApp();
    await b.prepare(signal());
    const listening = new Listening(b, filterOf(app));
    const key = letterKey(bobKey, app, 'invite');
    const other = letter(app);
    // Another process of ours has this second and the next one.
    const second = BigInt(Math.floor(Date.now() / 1000));
    for (const id of [second, second + 1n]) await putRaw(tools, lab, key, { id, dat: other.bytes });
    const a = await join();
    const mine = letter(app);
    await a.push(mine, signal());
    const got = await listening.take(3);
    expect(got.some(({ bytes }) => Buffer.from(mine.bytes).equals(bytes))).toBe(true);
    await listening.stop();
    await tools.close();
  },
);

test.skipIf(!ready)(
  'somebody who takes the ids of the coming minute keeps neither invitation nor answer away',
  async () => {
    const world = await makeWorld('alice@example.org/laptop', 'bob@example.org/nas');
    const stop = new AbortController();
    const rendezvous = {
      name: 'opendht',
      opendht: { bootstrap: lab.bootstrap(), port: 0, network: NETWORK },
    } as const;
    const [one, two] = [world.machines[0]!, world.machines[1]!];
    const app = freshApp();
    const tools = await newNode(NETWORK);
    const theirs: Passage[] = [];
    const accepting = (async () => {
      const settings = { ...world.settings(two, one, { signal: stop.signal, rendezvous }), app };
      for await (const passage of accept(settings)) theirs.push(passage);
    })();
    accepting.catch(() => {});
    try {
      await until('bob listening', () => two.events.some(({ event }) => event === 'listening'));
      const now = BigInt(Math.floor(Date.now() / 1000));
      for (const [machine, kind] of [
        [two, 'invite'],
        [one, 'accept'],
      ] as const) {
        const { cert } = await new AppRepository(machine.repo).host(machine.name);
        const key = letterKey(publicKeyInfo(cert), app, kind);
        const junk = encodeMsgpack({ body: { type: 0, data: Buffer.from('taken') } });
        for (let n = -2n; n < 60n; n++) await putRaw(tools, lab, key, { id: now + n, dat: junk });
      }
      const mine = await invite({ ...world.settings(one, two, { rendezvous }), app });
      await until('the passage of bob', () => theirs.length === 1);
      expect(mine.confirmed).toBe(true);
      await mine.close();
    } finally {
      stop.abort();
      await accepting;
      for (const passage of theirs) await passage.close();
      await tools.close();
      await world.close();
    }
  },
);

test.skipIf(!ready)('another network id is silence, said within five seconds and with the cure', async () => {
  const a = await join({ network: NETWORK + 1 });
  const begun = performance.now();
  const failed = a.prepare(signal());
  await expect(failed).rejects.toMatchObject({ code: 'RENDEZVOUS_UNREACHABLE' });
  await expect(failed).rejects.toMatchObject({
    message: expect.stringContaining(`127.0.0.1:${lab.nodes[0]?.port}`),
    hint: expect.stringContaining('--dht-network'),
  });
  expect(performance.now() - begun).toBeLessThan(8000);
});

test.skipIf(!ready)('one bootstrap host that is dead does not matter if another lives', async () => {
  const dead = { host: '127.0.0.1', port: 9 };
  const a = await join({
    bootstrap: [dead, { host: 'no-such-host.invalid', port: 4222 }, ...lab.bootstrap()],
  });
  const begun = performance.now();
  await a.prepare(signal());
  expect(performance.now() - begun).toBeLessThan(6000);
});

test.skipIf(!ready)('a fixed port that is taken is an error that names the flag', async () => {
  const port = lab.nodes[0]!.port;
  const a = await join({ port });
  await expect(a.prepare(signal())).rejects.toMatchObject({
    code: 'UDP_BIND',
    hint: expect.stringContaining('--dht-port'),
  });
});

test.skipIf(!ready)('awl and awl meet over dhtnode: passage and confirmation', async () => {
  const world = await makeWorld('alice@example.org/laptop', 'bob@example.org/nas');
  const stop = new AbortController();
  const rendezvous = {
    name: 'opendht',
    opendht: { bootstrap: lab.bootstrap(), port: 0, network: NETWORK },
  } as const;
  const [one, two] = [world.machines[0]!, world.machines[1]!];
  const theirs: Passage[] = [];
  const accepting = (async () => {
    for await (const passage of accept(world.settings(two, undefined, { signal: stop.signal, rendezvous })))
      theirs.push(passage);
  })();
  accepting.catch(() => {});
  try {
    await until('bob listening', () => two.events.some(({ event }) => event === 'listening'));
    for (let round = 1; round <= 3; round++) {
      const mine = await invite(world.settings(one, two, { rendezvous }));
      await until('the passage of bob', () => theirs.length === round);
      expect(mine.confirmed && theirs[round - 1]?.confirmed).toBe(true);
      expect(mine.sessionKey?.equals(theirs[round - 1]!.sessionKey!)).toBe(true);
      expect(theirs[round - 1]?.peer).toEqual(one.name);
      await mine.close();
    }
  } finally {
    stop.abort();
    await accepting;
    for (const passage of theirs) await passage.close();
    await world.close();
  }
});

test.skipIf(!ready)(
  'nodes that die in the middle cost seconds at most: listening and announcing go on with those that live',
  async () => {
    const own = await DhtLab.start(6, { network: NETWORK + 2 });
    try {
      const settings = { bootstrap: own.bootstrap(6), network: NETWORK + 2 };
      const [a, b] = [await join(settings), await join(settings)];
      const app = freshApp();
      await b.prepare(signal());
      const listening = new Listening(b, filterOf(app));
      await a.push(letter(app), signal());
      expect(await listening.take(1)).toHaveLength(1);
      for (const node of own.nodes.slice(0, 4)) node.kill();
      const begun = performance.now();
      await a.push(letter(app), signal());
      expect(await listening.take(2)).toHaveLength(2);
      expect(performance.now() - begun).toBeLessThan(8000);
      await listening.stop();
    } finally {
      await own.close();
    }
  },
);

test.skipIf(!ready)(
  'what was put is put again when the nodes have lost it, while somebody waits',
  async () => {
    const own = await DhtLab.start(2, { network: NETWORK + 3 });
    const tools = await newNode(NETWORK + 3);
    try {
      const a = await join({ bootstrap: own.bootstrap(2), network: NETWORK + 3 });
      const app = freshApp();
      await a.push(letter(app), signal());
      const key = letterKey(bobKey, app, 'invite');
      expect((await heldUnder(tools, own, key)).size).toBe(1);
      await own.restart();
      expect((await heldUnder(tools, own, key)).size).toBe(0);
      const limit = performance.now() + 15_000;
      while ((await heldUnder(tools, own, key)).size === 0 && performance.now() < limit) {
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      expect((await heldUnder(tools, own, key)).size).toBe(1);
    } finally {
      await tools.close();
      await own.close();
    }
  },
);

test.skipIf(!ready)('IPv6 alone is enough', async () => {
  const own = await DhtLab.start(3, { network: NETWORK + 4, host: '::1' });
  try {
    const settings = { bootstrap: own.bootstrap(2), network: NETWORK + 4 };
    const [a, b] = [await join(settings), await join(settings)];
    const app = freshApp();
    await b.prepare(signal());
    const listening = new Listening(b, filterOf(app));
    const sent = letter(app);
    await a.push(sent, signal());
    expect((await listening.take(1))[0]?.bytes).toEqual(sent.bytes);
    await listening.stop();
  } finally {
    await own.close();
  }
});

test.skipIf(!ready)('IPv4 and IPv6 side by side, on one fixed port, deliver a letter once', async () => {
  const both = [lab.bootstrap(), [{ host: '::1', port: lab.nodes[1]!.port }]].flat();
  const [a, b] = [await join({ bootstrap: both }), await join({ bootstrap: both })];
  const app = freshApp();
  await b.prepare(signal());
  const listening = new Listening(b, filterOf(app));
  await a.push(letter(app), signal());
  await listening.take(2, 1500);
  expect(listening.got).toHaveLength(1);
  await listening.stop();
});
