import { constants, generateKeyPairSync, publicEncrypt, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { decodeMsgpack } from '../../../src/wire/msgpack.js';
import { decryptBlob, encryptBlob } from '../../../src/wire/opendht-cipher.js';
import { decodeDat, decodeValue } from '../../../src/wire/opendht-value.js';
import { refusal } from '../../support/exchange.js';
import { capturedParty, newKey } from '../../support/parties.js';
import { capturedValues } from '../../support/plexus-dht.js';

const alice = capturedParty('alice');
const bob = capturedParty('bob');
const toBob = bob.cert.x509.publicKey;

test('every captured value of the real plexus decrypts to its text, the long ones of 3.4 too', () => {
  for (const { raw, recipient, text } of capturedValues()) {
    const { data } = decodeDat(decodeValue(raw).dat);
    expect(decodeMsgpack(decryptBlob(data, { alice, bob }[recipient].key))).toBe(text);
  }
});

test('short blobs are one RSA block, longer ones a key, an IV, the text and a tag; both come back', () => {
  for (const [length, size] of [
    [0, 256],
    [245, 256],
    [246, 256 + 12 + 246 + 16],
    [5000, 256 + 12 + 5000 + 16],
  ] as const) {
    const plain = randomBytes(length);
    const blob = encryptBlob(plain, toBob);
    expect(blob).toHaveLength(size);
    expect(decryptBlob(blob, bob.key)).toEqual(plain);
  }
});

test('keys of other sizes work, also where the modulus is no whole number of octets', () => {
  for (const modulusLength of [2049, 3072]) {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength });
    for (const length of [10, 600]) {
      const plain = randomBytes(length);
      expect(decryptBlob(encryptBlob(plain, publicKey), privateKey)).toEqual(plain);
    }
  }
});

test('a long blob that was changed anywhere is refused, with one answer for all', () => {
  const blob = encryptBlob(Buffer.alloc(300, 'x'), toBob);
  const texts = new Set<string>();
  for (let at = 0; at < blob.length; at += 7) {
    const bad = Buffer.from(blob);
    bad[at]! ^= 1;
    texts.add(refusal(() => decryptBlob(bad, bob.key), 'MESSAGE_UNDECRYPTABLE').message);
  }
  for (const length of [0, 1, 255, 257, 283]) {
    texts.add(refusal(() => decryptBlob(Buffer.alloc(length), bob.key), 'MESSAGE_UNDECRYPTABLE').message);
  }
  texts.add(refusal(() => decryptBlob(blob, alice.key), 'MESSAGE_UNDECRYPTABLE').message);
  expect(texts.size).toBe(1);
});

test('a short blob with bad padding yields noise that repeats for the same blob only, never an error', () => {
  // Blocks with every fault of RFC 8017 section 7.2.2, made with the bare RSA operation.
  const block = (change: (em: Buffer) => void) => {
    const em = Buffer.concat([
      Buffer.from([0, 2]),
      Buffer.alloc(200, 7),
      Buffer.from([0]),
      Buffer.alloc(53, 9),
    ]);
    change(em);
    return publicEncrypt({ key: toBob, padding: constants.RSA_NO_PADDING }, em);
  };
  const intact = decryptBlob(
    block(() => {}),
    bob.key,
  );
  expect(intact).toEqual(Buffer.alloc(53, 9));
  const faults: ((em: Buffer) => void)[] = [
    (em) => em.writeUInt8(1, 1),
    (em) => em.writeUInt8(0, 5),
    (em) => em.fill(7, 2),
  ];
  for (const fault of faults) {
    const blob = block(fault);
    const noise = decryptBlob(blob, bob.key);
    expect(noise).toHaveLength(32);
    expect(decryptBlob(blob, bob.key)).toEqual(noise);
  }
});

test('only RSA keys are worked with', () => {
  const ec = newKey('ec');
  refusal(() => decryptBlob(Buffer.alloc(256), ec), 'IDENTITY_INVALID');
  refusal(() => encryptBlob(Buffer.alloc(1), ec), 'IDENTITY_INVALID');
});
