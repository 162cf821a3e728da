import { expect, test } from 'vitest';
import { decodeMsgpack, encodeMsgpack, splitMap } from '../../../src/wire/msgpack.js';
import { decodeRpc, encodeQuery, encodeReply } from '../../../src/wire/opendht-rpc.js';
import { refusal } from '../../support/exchange.js';
import { capturedDatagrams } from '../../support/plexus-dht.js';

const ID = Buffer.alloc(20, 1);
const HASH = Buffer.alloc(20, 2);
const ON = { tid: 0xdead_beef, network: 0 };

test('every captured datagram between plexus and dhtnode reads as what it was', () => {
  const datagrams = capturedDatagrams();
  expect(datagrams.length).toBeGreaterThan(100);
  for (const { what, bytes } of datagrams) {
    const message = decodeRpc(bytes);
    if (what === 'r' || what === 'p') expect(message.type).toBe(what === 'r' ? 'reply' : 'part');
    else expect(message).toMatchObject({ type: 'query', query: what });
  }
});

test('the captured flow holds together: tokens, keys, sizes and their fragments', () => {
  const messages = capturedDatagrams().map(({ bytes }) => decodeRpc(bytes));
  const listen = messages.find((each) => each.type === 'query' && each.query === 'listen');
  expect(listen).toMatchObject({ body: { socketId: expect.any(Number) } });
  const updates = messages.flatMap((each) =>
    each.type === 'query' && each.query === 'update' && each.body.values ? [each] : [],
  );
  expect(updates.length).toBeGreaterThan(0);
  for (const update of updates) {
    const { values } = update.body;
    if (!values || !('sizes' in values)) continue;
    const total = values.sizes.reduce((sum, size) => sum + size, 0);
    const parts = messages.flatMap((each) =>
      each.type === 'part' && each.tid === update.tid ? each.fragments : [],
    );
    expect(parts.reduce((sum, { data }) => sum + data.length, 0)).toBeGreaterThanOrEqual(total);
    for (const { index, offset, data } of parts) {
      expect(offset + data.length).toBeLessThanOrEqual(values.sizes[index] ?? 0);
    }
  }
});

test('a query says that we are a client, and names the network only where it is not 0', () => {
  const [plain] = encodeQuery(ON, 'find', { id: ID, target: HASH, w: [2] });
  const [other] = encodeQuery({ ...ON, network: 7 }, 'find', { id: ID, target: HASH });
  const members = splitMap(plain!);
  expect(decodeMsgpack(members.get('s')!)).toBe(true);
  expect(members.has('n')).toBe(false);
  expect(decodeRpc(plain!)).toMatchObject({
    type: 'query',
    query: 'find',
    tid: ON.tid,
    network: 0,
    body: { id: ID },
  });
  expect(decodeRpc(other!).network).toBe(7);
});

test('small values travel inside the message, larger ones behind it in datagrams that every path carries', () => {
  const small = encodeMsgpack({ id: 1, dat: Buffer.alloc(100) });
  const inside = encodeQuery(ON, 'put', { id: ID, h: HASH }, [small]);
  expect(inside).toHaveLength(1);
  expect(decodeRpc(inside[0]!)).toMatchObject({ body: { values: { inline: [small] } } });

  const large = [Buffer.alloc(3000, 1), Buffer.alloc(10, 2)];
  const datagrams = encodeQuery(ON, 'put', { id: ID, h: HASH }, large);
  for (const datagram of datagrams) expect(datagram.length).toBeLessThan(1232);
  const [head, ...parts] = datagrams.map(decodeRpc);
  expect(head).toMatchObject({ body: { values: { sizes: [3000, 10] } } });
  const whole = large.map(({ length }) => Buffer.alloc(length));
  for (const part of parts) {
    expect(part).toMatchObject({ type: 'part', tid: ON.tid });
    if (part.type !== 'part') continue;
    for (const { index, offset, data } of part.fragments) data.copy(whole[index]!, offset);
  }
  expect(whole).toEqual(large);
});

test('our confirmation is smaller than any update, and without the address smaller than a ping', () => {
  const [ping] = encodeQuery(ON, 'ping', { id: ID });
  expect(encodeReply(ON, ID).length).toBeLessThan(ping!.length);
  expect(decodeRpc(encodeReply(ON, ID, Buffer.from([127, 0, 0, 1])))).toMatchObject({
    type: 'reply',
    tid: ON.tid,
    body: { id: ID },
  });
});

const message = (more: object) => encodeMsgpack({ t: 1, y: 'r', v: 'RNG1', ...more });

test('nodes of both families are read, in the spelling of the kernel', () => {
  const n4 = Buffer.concat([ID, Buffer.from([203, 0, 113, 7, 0x10, 0x7e])]);
  const n6 = Buffer.concat([ID, Buffer.from('20010db8000000000000000000000001', 'hex'), Buffer.from([1, 0])]);
  expect(decodeRpc(message({ r: { id: ID, n4, n6 } }))).toMatchObject({
    body: {
      nodes4: [{ id: ID, endpoint: { address: '203.0.113.7', port: 4222 } }],
      nodes6: [{ id: ID, endpoint: { address: '2001:db8::1', port: 256 } }],
    },
  });
});

test('of a thousand nodes in one reply a few are read', () => {
  const reply = decodeRpc(message({ r: { id: ID, n4: Buffer.alloc(26 * 1000) } }));
  expect(reply.type === 'reply' && reply.body.nodes4.length).toBe(16);
});

test('an error counts, also beside a reply', () => {
  expect(decodeRpc(message({ r: { id: ID }, e: [401, 'Put with wrong token'] }))).toMatchObject({
    type: 'error',
    code: 401,
    text: 'Put with wrong token',
  });
});

test('a transaction id of four bytes is the number that it spells', () => {
  expect(decodeRpc(encodeMsgpack({ t: Buffer.from('00000102', 'hex'), y: 'r', r: { id: ID } })).tid).toBe(
    258,
  );
});

test.each([
  ['no transaction id', encodeMsgpack({ y: 'r', r: { id: ID } })],
  ['no node id', message({ r: {} })],
  ['a node id of 19 bytes', message({ r: { id: ID.subarray(1) } })],
  ['a list of nodes that ends in the middle', message({ r: { id: ID, n4: Buffer.alloc(27) } })],
  ['a size beyond 64 kB', message({ r: { id: ID, values: [65_537] } })],
  ['a fragment without data', message({ p: new Map([[0, { o: 0 }]]) })],
  ['a fragment of the 257th value', message({ p: new Map([[256, { o: 0, d: ID }]]) })],
  ['fragments in an array', message({ p: [1] })],
  ['an error that is text', message({ e: 'no' })],
  ['neither query nor reply', message({})],
  ['a query without arguments', message({ q: 'ping' })],
  ['a network id beyond 32 bits', message({ n: 2 ** 33, r: { id: ID } })],
])('a datagram with %s is refused', (_what, bytes) => {
  refusal(() => decodeRpc(bytes), 'MESSAGE_MALFORMED');
});
