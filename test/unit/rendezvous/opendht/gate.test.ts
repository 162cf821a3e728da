import { expect, test } from 'vitest';
import { INVITE_LOOKBACK_MS, OPENDHT_SEEN_MAX } from '../../../../src/constants.js';
import { publicKeyInfo } from '../../../../src/identity/x509.js';
import { type GateOptions, LetterGate } from '../../../../src/rendezvous/opendht/gate.js';
import { baseId, sideId, ValueIds } from '../../../../src/rendezvous/opendht/value-ids.js';
import { encodeMsgpack } from '../../../../src/wire/msgpack.js';
import { type DhtValue, signDat } from '../../../../src/wire/opendht-value.js';
import { capturedParty } from '../../../support/parties.js';

const alice = capturedParty('alice');
const bob = capturedParty('bob');
const aliceKey = publicKeyInfo(alice.cert);
const bobKey = publicKeyInfo(bob.cert);
const START = new Date('2026-11-21T12:00:00.900Z');
const SECOND = BigInt(Math.floor(START.getTime() / 1000));

function gate(more: Partial<GateOptions['filter']> = {}, invited: bigint[] = []): LetterGate {
  return new LetterGate({
    filter: { app: 'app', kind: 'invite', to: bob.name, from: {}, ...more },
    to: bob.name,
    toKey: bobKey,
    since: START,
    invited: new Set(invited),
  });
}

function value(id: bigint, text = 'x'): DhtValue {
  return { id, dat: signDat({ owner: aliceKey, data: Buffer.from(text) }, alice.key).dat };
}

test('a letter bears the key of its owner, and a name only where the listener named owner and key', () => {
  const open = gate().admit(value(SECOND), START);
  expect(open).toMatchObject({
    app: 'app',
    kind: 'invite',
    to: bob.name,
    form: 'opendht',
    id: String(SECOND),
  });
  expect(open?.fromKey).toEqual(aliceKey);
  expect(open).not.toHaveProperty('from');
  expect(gate({ from: alice.name }).admit(value(SECOND), START)).not.toHaveProperty('from');
  const named = gate({ from: alice.name, fromKey: aliceKey }).admit(value(SECOND), START);
  expect(named?.from).toEqual(alice.name);
});

test('values of other owners stay out where one peer is named', () => {
  expect(gate({ from: bob.name, fromKey: bobKey }).admit(value(SECOND), START)).toBeUndefined();
});

test('eight nodes deliver one value once; the same letter under another id is another', () => {
  const door = gate();
  expect(door.admit(value(SECOND), START)).toBeDefined();
  for (let n = 0; n < 8; n++) expect(door.admit(value(SECOND), START)).toBeUndefined();
  expect(door.admit(value(SECOND + 1n), START)).toBeDefined();
  expect(door.admit(value(SECOND, 'y'), START)).toBeDefined();
});

test('an invitation counts while its sender may still wait, an answer only from our start on', () => {
  const lookback = BigInt(INVITE_LOOKBACK_MS / 1000);
  expect(gate().admit(value(SECOND - lookback), START)).toBeDefined();
  expect(gate().admit(value(SECOND - lookback - 1n), START)).toBeUndefined();
  expect(gate({ kind: 'accept' }).admit(value(SECOND), START)).toBeDefined();
  expect(gate({ kind: 'accept' }).admit(value(SECOND - 1n), START)).toBeUndefined();
});

test('an answer must bear the id of an invitation of ours', () => {
  const door = gate({ kind: 'accept' }, [SECOND + 5n]);
  expect(door.admit(value(SECOND + 5n), START)).toBeDefined();
  expect(door.admit(value(SECOND + 6n), START)).toBeUndefined();
});

test('garbage under our key is no letter and takes no place in the memory of letters', () => {
  const door = gate();
  const first = value(SECOND);
  expect(door.admit(first, START)).toBeDefined();
  const garbage = [
    encodeMsgpack(Buffer.from('cypher')),
    encodeMsgpack({ body: { type: 0, data: Buffer.alloc(9) } }),
    Buffer.from([0xc1]),
  ];
  for (let n = 0n; n < BigInt(2 * OPENDHT_SEEN_MAX); n++) {
    expect(door.admit({ id: SECOND + n, dat: garbage[Number(n % 3n)]! }, START)).toBeUndefined();
  }
  expect(door.admit(first, START)).toBeUndefined();
});

test('ids are seconds, one more where a key has that second already, and never behind the clock', () => {
  const ids = new ValueIds();
  const [key, other] = [Buffer.from('a'), Buffer.from('b')];
  expect([ids.next(key, START), ids.next(key, START), ids.next(key, START)]).toEqual([
    SECOND,
    SECOND + 1n,
    SECOND + 2n,
  ]);
  expect(ids.next(other, START)).toBe(SECOND);
  expect(ids.next(key, new Date(START.getTime() + 1000))).toBe(SECOND + 3n);
  expect(ids.next(key, new Date(START.getTime() + 60_000))).toBe(SECOND + 60n);
});

test('an answer whose id was taken goes beside it, where an awl inviter finds it', () => {
  const door = gate({ kind: 'accept' }, [SECOND]);
  for (const random of [0, 1, 2 ** 31 - 2, 123_456_789]) {
    const id = sideId(SECOND, random);
    expect(id).not.toBe(SECOND);
    expect(id < 2n ** 63n + 2n ** 32n).toBe(true);
    expect(baseId(id)).toBe(SECOND);
    expect(sideId(id, 5)).toBe(sideId(SECOND, 5));
    expect(door.admit(value(id), START)).toBeDefined();
  }
  expect(door.admit(value(sideId(SECOND + 1n, 7)), START)).toBeUndefined();
});
