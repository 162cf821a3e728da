import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Assembler } from '../../src/rendezvous/opendht/assembly.js';
import { openValue, sealValue } from '../../src/rendezvous/sealing-opendht.js';
import { encodeMsgpack } from '../../src/wire/msgpack.js';
import { decodeRpc, encodeQuery } from '../../src/wire/opendht-rpc.js';
import { decodeDat, decodeValue, encodeValue } from '../../src/wire/opendht-value.js';
import { NOW, REFERENCE } from '../support/exchange.js';
import { answersOrRefuses } from '../support/fuzzing.js';
import { capturedParty } from '../support/parties.js';
import { capturedDatagrams, capturedValues } from '../support/plexus-dht.js';

const alice = capturedParty('alice');
const bob = capturedParty('bob');
const DATAGRAMS = capturedDatagrams().map(({ bytes }) => bytes);
const VALUES = capturedValues().map(({ raw }) => raw);

/** A real message with some bytes changed, some cut off and some put in. */
function mutated(originals: readonly Buffer[]): fc.Arbitrary<Buffer> {
  const change = fc.record({ at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }) });
  return fc
    .tuple(
      fc.constantFrom(...originals),
      fc.array(change, { maxLength: 6 }),
      fc.option(fc.nat()),
      fc.option(fc.tuple(fc.nat(), fc.uint8Array({ maxLength: 20 }))),
    )
    .map(([original, changes, cut, put]) => {
      let bytes = Buffer.from(original);
      for (const { at, byte } of changes) bytes[at % bytes.length] = byte;
      if (put) {
        const at = put[0] % bytes.length;
        bytes = Buffer.concat([bytes.subarray(0, at), put[1], bytes.subarray(at)]);
      }
      return cut === null ? bytes : bytes.subarray(0, cut % (bytes.length + 1));
    });
}

test('datagrams that were tampered with are read or refused', () => {
  fc.assert(
    fc.property(mutated(DATAGRAMS), (bytes) => {
      answersOrRefuses(
        () => decodeRpc(bytes),
        (message) => {
          if (message.type === 'part') expect(message.fragments.length).toBeLessThan(bytes.length);
          if (message.type === 'reply') expect(message.body.id).toHaveLength(20);
        },
      );
    }),
    { numRuns: 20_000 },
  );
});

test('random datagrams are read or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      answersOrRefuses(() => decodeRpc(Buffer.from(bytes)));
    }),
    { numRuns: 20_000 },
  );
});

test('values that were tampered with are read or refused', () => {
  fc.assert(
    fc.property(mutated(VALUES), (bytes) => {
      answersOrRefuses(
        () => decodeValue(bytes),
        (value) => {
          expect(value.id > 0n).toBe(true);
          answersOrRefuses(() => decodeDat(value.dat));
        },
      );
    }),
    { numRuns: 10_000 },
  );
});

test('no change to a sealed letter opens: what opens is the letter itself', () => {
  const sealed = sealValue({
    app: 'app',
    kind: 'invite',
    host: alice,
    peer: bob,
    reference: REFERENCE,
    extension: { caps: ['confirm'] },
    now: NOW,
  });
  const original = Buffer.from(sealed.bytes);
  const options = { app: 'app', kind: 'invite', host: bob, peer: alice, now: NOW } as const;
  fc.assert(
    fc.property(mutated([original]), (bytes) => {
      answersOrRefuses(
        () => openValue({ form: 'opendht', bytes }, options),
        ({ digest }) => expect(digest).toBe(sealed.digest),
      );
    }),
    { numRuns: 3000 },
  );
});

test('values of any size go through query, fragments and assembly in any order', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(
      sizes,
      fc.infiniteStream(fc.nat()),
      fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
      (lengths, order, id) => {
        const values = lengths.map((length, n) =>
          encodeValue({ id, dat: encodeMsgpack(Buffer.alloc(length, n)) }),
        );
        const datagrams = encodeQuery({ tid: 1, network: 9 }, 'put', { id: Buffer.alloc(20) }, values);
        const shuffled = datagrams
          .map((datagram) => ({ datagram, rank: order.next().value ?? 0 }))
          .sort((a, b) => a.rank - b.rank)
          .map(({ datagram }) => datagram);
        const assembler = new Assembler();
        const got: Buffer[] = [];
        for (const datagram of shuffled) {
          const message = decodeRpc(datagram);
          expect(message.network).toBe(9);
          if (message.type === 'part') got.push(...assembler.add('x', message.fragments, 0).values);
          if (message.type !== 'query' || !message.body.values) continue;
          if ('inline' in message.body.values) got.push(...message.body.values.inline);
          else got.push(...assembler.announce('x', message.body.values.sizes, 0).values);
        }
        const sorted = (list: readonly Buffer[]) => list.map((each) => each.toString('hex')).sort();
        // More fragments than may overtake their message are lost, and come again with the repetition.
        for (const datagram of datagrams) {
          const message = decodeRpc(datagram);
          if (message.type === 'part' && got.length < values.length)
            got.push(...assembler.add('x', message.fragments, 0).values);
        }
        expect(sorted(got)).toEqual(sorted(values));
      },
    ),
    { numRuns: 1000 },
  );
});
