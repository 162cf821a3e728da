import { createCipheriv } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isAwlError } from '../../src/errors.js';
import { SINKS_PER_PEER } from '../../src/meepo/limits.js';
import {
  openAnswer,
  openOffer,
  sealOffer,
  signDescriptorBy,
  verifyDescriptor,
} from '../../src/wire/meepo/descriptor.js';
import { meepoKeys, meepoShared } from '../../src/wire/meepo/keys.js';
import { bodyField, encodeBody } from '../../src/wire/meepo/packet.js';
import { readStandIn } from '../../src/wire/meepo/stand-in.js';
import { encodeMsgpack, type Msgpack } from '../../src/wire/msgpack.js';
import { meepoPair } from '../support/meepo-pair.js';

/** Who signs whatever it likes: nothing of it is stopped by a signature. */
const mallory = meepoKeys();
const own = meepoKeys();

function named(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    if (!isAwlError(error)) throw error;
  }
}

const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((one) => Buffer.from(one));
const exactly = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((one) => Buffer.from(one));
const packed: fc.Arbitrary<Msgpack> = fc.oneof(
  fc.nat(5),
  fc.string({ maxLength: 20 }),
  fc.constantFrom('', 'v=0\r\n'),
) as fc.Arbitrary<Msgpack>;

test('a descriptor that its sender signed is opened, or an error with a name, whatever is in it', async () => {
  const { secret } = sealOffer(mallory, own.id, 'v=0');
  const member = fc.constantFrom(
    'ct',
    'nonce',
    'randPubk',
    'awlTo',
    'awlKey',
    'awlUntil',
    'constructor',
    'x',
  );
  const value = fc.oneof(bytes(80), exactly(32), exactly(12), fc.constant(Buffer.from('99999999999999')));
  await fc.assert(
    fc.asyncProperty(fc.dictionary(member, value, { maxKeys: 6 }), async (data) => {
      const descriptor = await signDescriptorBy(mallory, data);
      expect(() => verifyDescriptor(descriptor)).not.toThrow();
      named(() => openOffer(own, descriptor));
      named(() => openAnswer(mallory.id, secret, descriptor));
      named(() => readStandIn(mallory.id, descriptor, Date.now()));
    }),
    { numRuns: 300 },
  );
});

test('what is sealed to us as it should be and means nothing is an error with a name', async () => {
  const inside = fc.oneof(
    bytes(60),
    fc
      .dictionary(fc.constantFrom('Type', 'SDP', 'x'), packed, { maxKeys: 3 })
      .map((map) => encodeMsgpack(map)),
  );
  await fc.assert(
    fc.asyncProperty(inside, async (plain) => {
      const once = meepoKeys();
      const nonce = Buffer.alloc(12, 1);
      const cipher = createCipheriv('aes-256-gcm', meepoShared(own.publicKey, once.seed), nonce);
      const ct = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
      const descriptor = await signDescriptorBy(mallory, { ct, nonce, randPubk: once.publicKey });
      named(() => openOffer(own, descriptor));
    }),
    { numRuns: 300 },
  );
});

test('every request that a peer signs is answered, and the next one, too', { timeout: 120_000 }, async () => {
  const [a, b] = meepoPair({ keys: mallory }, { keys: own });
  const { conversation } = a.transport;
  const field = fc.constantFrom(
    ...['Name', 'Label', 'LocalNetwork', 'LocalAddress', 'RemoteNetwork', 'RemoteAddress', 'HashedSecret'],
    ...['Nonce', 'Payload', '__proto__'],
  );
  // No names: they would be looked up.
  const text = fc.oneof(
    fc.constantFrom(
      'tcp',
      'socks5',
      '127.0.0.1:1',
      ':22',
      '[::1]:1',
      '127.0.0.1:99999',
      '127.0.0.1',
      '[::1',
      '',
    ),
    fc.string({ unit: fc.constantFrom('\0', '\n', ':', '[', ']', '1', '\u202e'), maxLength: 12 }),
  );
  const body = fc.oneof(
    { weight: 4, arbitrary: fc.dictionary(field, fc.oneof(text, fc.nat(9)), { maxKeys: 8 }).map(encodeBody) },
    { weight: 1, arbitrary: bytes(40) },
  );
  const method = fc.constantFrom(
    ...[
      'ping',
      'newTeleportation',
      'doTeleport',
      'closeTeleportation',
      'challenge',
      'constructor',
      '',
      'wire',
    ],
  );
  await fc.assert(
    fc.asyncProperty(method, body, async (name, data) => {
      const answer = await conversation.request(name, data).catch((error: unknown) => error);
      expect(answer instanceof Map || isAwlError(answer, 'MEEPO_REFUSED')).toBe(true);
      expect(b.sinks.all.length).toBeLessThanOrEqual(SINKS_PER_PEER);
    }),
    { numRuns: 300 },
  );
  const answer = await conversation.request('challenge', encodeBody({}));
  expect(Buffer.from(bodyField(answer, 'Nonce'), 'base64')).toHaveLength(32);
});
