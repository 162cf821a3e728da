import { randomBytes } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import { OPENDHT_SEARCH_MAX } from '../../src/constants.js';
import { publicKeyInfo } from '../../src/identity/x509.js';
import { silentLogger } from '../../src/log.js';
import { type OpendhtTiming, openOpendht } from '../../src/rendezvous/opendht/backend.js';
import { DhtNode } from '../../src/rendezvous/opendht/node.js';
import { search } from '../../src/rendezvous/opendht/search.js';
import type { Letter, Rendezvous } from '../../src/rendezvous/types.js';
import { UdpSocket } from '../../src/util/udp.js';
import { encodeMsgpack } from '../../src/wire/msgpack.js';
import { encodeQuery } from '../../src/wire/opendht-rpc.js';
import { letterKey, signDat } from '../../src/wire/opendht-value.js';
import { CONTEXT, Listening } from '../support/backend-contract.js';
import { FakeDhtNode, nodeList, packed } from '../support/opendht-fake.js';
import { capturedParty } from '../support/parties.js';
import { until } from '../support/world.js';

const alice = capturedParty('alice');
const bob = capturedParty('bob');
const aliceKey = publicKeyInfo(alice.cert);
const bobKey = publicKeyInfo(bob.cert);
const KEY = letterKey(bobKey, 'app', 'invite');
const FILTER = {
  app: 'app',
  kind: 'invite',
  to: bob.name,
  toKey: bobKey,
  from: alice.name,
  fromKey: aliceKey,
} as const;
const second = () => BigInt(Math.floor(Date.now() / 1000));
const signal = (ms = 15_000) => AbortSignal.timeout(ms);

const nodes: FakeDhtNode[] = [];
const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()));
  await Promise.all(nodes.splice(0).map((each) => each.close()));
});

async function fakes(count: number): Promise<FakeDhtNode[]> {
  const fresh: FakeDhtNode[] = [];
  for (let n = 0; n < count; n++) fresh.push(await FakeDhtNode.start());
  nodes.push(...fresh);
  return fresh;
}

async function join(bootstrap = nodes, timing?: OpendhtTiming): Promise<Rendezvous> {
  const hosts = bootstrap.map(({ hostPort }) => hostPort);
  const one = await openOpendht({ bootstrap: hosts, port: 0, network: 0 }, CONTEXT, timing);
  open.push(one);
  return one;
}

async function leaf(): Promise<DhtNode> {
  const node = await DhtNode.open({ family: 4, port: 0, network: 0, id: randomBytes(20), log: silentLogger });
  open.push(node);
  return node;
}

function dat(text: string, signer = alice): Buffer {
  return signDat({ owner: publicKeyInfo(signer.cert), data: Buffer.from(text) }, signer.key).dat;
}

function letter(text = 'x'): Letter {
  return {
    app: 'app',
    kind: 'invite',
    from: alice.name,
    to: bob.name,
    form: 'opendht',
    bytes: dat(text),
    toKey: bobKey,
  };
}

test('a node that names thousands of nodes makes us ask a bounded number of them', async () => {
  const [liar] = await fakes(1);
  const victims = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  let hits = 0;
  victims.subscribe(() => hits++);
  let served = 0;
  liar!.behaviour = (query, from, node) => {
    served++;
    // Each answer names sixteen fresh ids at the victim, ever nearer to the target.
    const nearer = Array.from({ length: 16 }, () => ({
      id: Buffer.concat([KEY.subarray(0, 12), randomBytes(8)]),
      endpoint: { address: '127.0.0.1', port: victims.local.port },
    }));
    return { ...node.honest(query, from), n4: nodeList(nearer) };
  };
  const node = await leaf();
  await search(node, { target: KEY, seeds: [liar!.endpoint], signal: signal() });
  expect(served).toBeLessThanOrEqual(OPENDHT_SEARCH_MAX);
  // One endpoint is one node, whatever ids it is given; a stranger is asked twice.
  expect(hits).toBeLessThanOrEqual(2);
  await victims.close();
});

test('an endless chain of ever nearer nodes ends', async () => {
  const all = await fakes(60);
  all.forEach((node, n) => {
    node.behaviour = (query, from, self) => {
      const next = all[n + 1];
      const id = Buffer.concat([KEY.subarray(0, 10), Buffer.alloc(10, 255 - n)]);
      return {
        ...self.honest(query, from),
        ...(next && { n4: nodeList([{ id, endpoint: next.endpoint }]) }),
      };
    };
  });
  const node = await leaf();
  await search(node, { target: KEY, seeds: [all[0]!.endpoint], signal: signal() });
  expect(all.filter(({ queries }) => queries.length > 0).length).toBeLessThanOrEqual(OPENDHT_SEARCH_MAX);
});

test('nodes that keep silent hold up nobody: an honest one is enough', async () => {
  const [honest] = await fakes(1);
  const silent = Array.from({ length: 12 }, (_, n) => ({
    id: Buffer.concat([KEY.subarray(0, 19), Buffer.from([n])]),
    endpoint: { address: '127.0.0.1', port: 1024 + n },
  }));
  honest!.behaviour = (query, from, node) => ({ ...node.honest(query, from), n4: nodeList(silent) });
  const node = await leaf();
  const begun = performance.now();
  const found = await search(node, { target: KEY, seeds: [honest!.endpoint], signal: signal() });
  expect(found).toHaveLength(1);
  expect(performance.now() - begun).toBeLessThan(6000);
});

test('answers from another source, to another question, or under our own id do not count', async () => {
  const liars = await fakes(4);
  const spy = await FakeDhtNode.start();
  nodes.push(spy);
  const node = await leaf();
  const us = { address: '127.0.0.1', port: node.localPort };
  const lies: ((tid: number, liar: FakeDhtNode) => void)[] = [
    (tid) => spy.reply(tid, {}, us),
    (tid, liar) => liar.reply((tid ^ 0x8000) >>> 0, {}, us),
    (tid, liar) => liar.raw(encodeMsgpack({ t: tid, y: 'r', r: { id: node.id } }), us),
    (tid, liar) => liar.raw(encodeMsgpack({ t: tid, y: 'r', n: 3, r: { id: randomBytes(20) } }), us),
  ];
  const answers = await Promise.all(
    liars.map((liar, n) => {
      liar.behaviour = ({ tid }) => {
        lies[n]!(tid, liar);
        return undefined;
      };
      return node.ask(liar.endpoint, 'ping', {}, { attemptsMs: [0] });
    }),
  );
  expect(answers.map(({ type }) => type)).toEqual(['silence', 'silence', 'silence', 'silence']);
  expect(liars.every(({ queries }) => queries.length > 0)).toBe(true);
  expect(node.table.size).toBe(0);
});

test('garbage from a node that we talk to is counted and changes nothing', async () => {
  const [noisy] = await fakes(1);
  const rendezvous = await join();
  await rendezvous.prepare(signal());
  const listening = new Listening(rendezvous, FILTER);
  await until('it listens', () => noisy!.listeners.length > 0);
  const { from } = noisy!.listeners[0]!;
  for (let n = 0; n < 2000; n++) noisy!.raw(randomBytes(n % 1400), from);
  noisy!.raw(Buffer.alloc(60_000), from);
  noisy!.notify(KEY, [packed(second(), dat('honest'))]);
  expect(await listening.take(1)).toHaveLength(1);
  await listening.stop();
});

test('strangers are not answered, so that nobody can have others answered in their name', async () => {
  const [known] = await fakes(1);
  const rendezvous = await join();
  await rendezvous.prepare(signal());
  const listening = new Listening(rendezvous, FILTER);
  await until('it listens', () => known!.listeners.length > 0);
  const { from } = known!.listeners[0]!;
  const socket = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  let answered = 0;
  socket.subscribe(() => answered++);
  const ping = encodeMsgpack({ t: 1, y: 'q', q: 'ping', a: { id: randomBytes(20) } });
  for (let n = 0; n < 50; n++) await socket.send(ping, from);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(answered).toBe(0);
  await socket.close();
  await listening.stop();
});

test('updates of a node that was never asked to bring any, or for another key, are not taken', async () => {
  const [one, other] = await fakes(2);
  const rendezvous = await join([one!, other!]);
  await rendezvous.prepare(signal());
  const listening = new Listening(rendezvous, FILTER);
  await until('both are listened at', () => one!.listeners.length > 0 && other!.listeners.length > 0);
  const spy = await FakeDhtNode.start();
  nodes.push(spy);
  spy.listeners.push(...one!.listeners);
  spy.notify(KEY, [packed(second(), dat('from a spy'))]);
  const { sid, from } = one!.listeners[0]!;
  one!.listeners.push({ hash: Buffer.alloc(20), sid, from });
  one!.notify(Buffer.alloc(20), [packed(second(), dat('another key'))]);
  one!.notify(KEY, [packed(second(), dat('honest'))]);
  await listening.take(2, 300);
  expect(listening.got).toHaveLength(1);
  await listening.stop();
});

test('a lying token costs one node, not the letter', async () => {
  const all = await fakes(3);
  all[0]!.behaviour = (query, from, node) => {
    if (query.query !== 'put') return node.honest(query, from);
    node.fail(query.tid, 401, from);
    return undefined;
  };
  all[1]!.behaviour = (query, from, node) => ({ ...node.honest(query, from), token: 7 });
  const rendezvous = await join();
  await rendezvous.push(letter(), signal());
  expect(all[2]!.count('put')).toBeGreaterThan(0);
  expect(all[1]!.count('put')).toBe(0);
});

test('where no node takes a letter, push says so within its time', async () => {
  const all = await fakes(2);
  for (const node of all) {
    node.behaviour = (query, from, self) => {
      if (query.query !== 'put') return self.honest(query, from);
      self.fail(query.tid, 401, from);
      return undefined;
    };
  }
  const rendezvous = await join(nodes, { pushMs: 800 });
  await expect(rendezvous.push(letter(), signal())).rejects.toMatchObject({
    code: 'RENDEZVOUS_UNREACHABLE',
    hint: expect.stringContaining('--dht-bootstrap'),
  });
  // Nothing goes on in the background for a letter that was not taken; what was under way has 100 ms to arrive.
  await new Promise((resolve) => setTimeout(resolve, 100));
  const asked = all[0]!.queries.length;
  await new Promise((resolve) => setTimeout(resolve, 1200));
  expect(all[0]!.queries.length).toBe(asked);
});

test('a listener whose token has run out gets a new one and misses nothing', async () => {
  const [node] = await fakes(1);
  let listens = 0;
  node!.behaviour = (query, from, self) => {
    if (query.query === 'listen' && ++listens === 1) {
      self.fail(query.tid, 401, from);
      return undefined;
    }
    return self.honest(query, from);
  };
  node!.stored.set(KEY.toString('hex'), [packed(second(), dat('lies there already'))]);
  const rendezvous = await join();
  await rendezvous.prepare(signal());
  const listening = new Listening(rendezvous, FILTER);
  expect(await listening.take(1, 5000)).toHaveLength(1);
  expect(listens).toBeGreaterThan(1);
  await listening.stop();
});

test('a flood of values under our key neither fills the memory nor keeps the honest letter out', async () => {
  const all = await fakes(2);
  const rendezvous = await join();
  await rendezvous.prepare(signal());
  const listening = new Listening(rendezvous, FILTER);
  await until('it listens', () => all.every(({ listeners }) => listeners.length > 0));
  const before = process.memoryUsage().rss;
  const junk = [
    (n: number) => packed(second() + BigInt(n), encodeMsgpack(randomBytes(100))),
    (n: number) => packed(second() + BigInt(n), dat(`carol ${n % 3}`, bob)),
    () => encodeMsgpack({ id: 0, dat: 1 }),
    () => randomBytes(50),
  ];
  for (let n = 0; n < 3000; n++) {
    all[0]!.notify(KEY, [junk[n % junk.length]!(n)]);
    if (n % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  all[1]!.notify(KEY, [packed(second(), dat('honest'))]);
  expect(await listening.take(1)).toHaveLength(1);
  expect(listening.got).toHaveLength(1);
  expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
  await listening.stop();
});

test('huge values are announced in vain: they are neither collected nor waited for', async () => {
  const [node] = await fakes(1);
  const rendezvous = await join();
  await rendezvous.prepare(signal());
  const listening = new Listening(rendezvous, FILTER);
  await until('it listens', () => node!.listeners.length > 0);
  const honest = packed(second(), dat('x'.repeat(700)));
  node!.notify(KEY, [Buffer.alloc(64 * 1024), honest, Buffer.alloc(40_000)]);
  expect(await listening.take(1)).toHaveLength(1);
  await listening.stop();
});

test('a lost fragment is made good by the repetition, because nothing was confirmed', async () => {
  const [node] = await fakes(1);
  const rendezvous = await join();
  await rendezvous.prepare(signal());
  const listening = new Listening(rendezvous, FILTER);
  await until('it listens', () => node!.listeners.length > 0);
  const value = packed(second(), dat('y'.repeat(2000)));
  const { from, sid } = node!.listeners[0]!;
  const on = { tid: 77, network: 0 };
  const datagrams = encodeQuery(on, 'update', { id: node!.id, h: KEY, sid, ve: 1 }, [value]);
  expect(datagrams.length).toBeGreaterThan(2);
  for (const datagram of datagrams.slice(0, -1)) node!.raw(datagram, from);
  expect(await listening.take(1, 200)).toHaveLength(0);
  // In another order, too.
  for (const datagram of [...datagrams].reverse()) node!.raw(datagram, from);
  expect(await listening.take(1)).toHaveLength(1);
  await listening.stop();
});
