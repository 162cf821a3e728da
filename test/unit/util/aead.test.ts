import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AEAD_TAG_BYTES, type Aead, aead, NODE, openssl } from '../../../src/util/aead.js';
import { hasOffload } from '../../../src/util/offload.js';

const KEY = Buffer.alloc(32, 7);
const NONCE = Buffer.alloc(12, 9);

test('the example of RFC 8439 section 2.8.2 comes out of whatever is used', () => {
  const key = Buffer.from(Array.from({ length: 32 }, (_, i) => 0x80 + i));
  const nonce = Buffer.from('070000004041424344454647', 'hex');
  const aad = Buffer.from('50515253c0c1c2c3c4c5c6c7', 'hex');
  const plain = Buffer.from(
    "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.",
  );
  for (const one of [NODE, aead()]) {
    const sealed = Buffer.alloc(plain.length + AEAD_TAG_BYTES);
    one.seal(sealed, key, nonce, [plain], aad);
    expect(sealed.subarray(0, 16).toString('hex')).toBe('d31a8d34648e60db7b86afbc53ef7ec2');
    expect(sealed.subarray(plain.length).toString('hex')).toBe('1ae10b594f09e26a7e902ecbd0600691');
    expect(one.open(sealed, key, nonce, aad)?.equals(plain)).toBe(true);
  }
});

/** Seals with one and opens with the other, in pieces, somewhere within larger memory. */
function crosses(from: Aead, to: Aead, bytes: number, cut: number, aad: Uint8Array | undefined): void {
  const plain = randomBytes(bytes);
  const memory = Buffer.alloc(bytes + AEAD_TAG_BYTES + 20, 0xee);
  const sealed = memory.subarray(13, 13 + bytes + AEAD_TAG_BYTES);
  const at = Math.min(cut, bytes);
  from.seal(sealed, KEY, NONCE, [plain.subarray(0, at), Buffer.alloc(0), plain.subarray(at)], aad);
  expect([...memory.subarray(0, 13), ...memory.subarray(-7)].every((one) => one === 0xee)).toBe(true);
  const changed = Buffer.from(sealed);
  changed[cut % changed.length] = (changed[cut % changed.length] as number) ^ 4;
  expect(to.open(changed, KEY, NONCE, aad)).toBeUndefined();
  expect(to.open(Buffer.from(sealed), KEY, Buffer.alloc(12, 8), aad)).toBeUndefined();
  expect(to.open(Buffer.from(sealed.subarray(0, -1)), KEY, NONCE, aad)).toBeUndefined();
  const opened = to.open(sealed, KEY, NONCE, aad);
  expect(opened?.equals(plain)).toBe(true);
  expect([...memory.subarray(0, 13), ...memory.subarray(-7)].every((one) => one === 0xee)).toBe(true);
}

test.runIf(hasOffload())(
  'called directly and through Node it is the same, in any pieces, and no byte beside it',
  () => {
    const direct = openssl();
    const sizes = fc.oneof(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 70_000 }));
    const extras = fc.option(fc.uint8Array({ minLength: 1, maxLength: 40 }), { nil: undefined });
    fc.assert(
      fc.property(sizes, fc.nat(70_000), extras, (bytes, cut, aad) => {
        crosses(direct, NODE, bytes, cut, aad);
        crosses(NODE, direct, bytes, cut, aad);
        crosses(direct, direct, bytes, cut, aad);
      }),
      { numRuns: 60 },
    );
  },
);

test('what is too short to hold a tag, or to be sealed into, is refused', () => {
  for (const one of [NODE, aead()]) expect(one.open(Buffer.alloc(15), KEY, NONCE)).toBeUndefined();
  expect(() => aead().seal(Buffer.alloc(20), KEY, NONCE, [Buffer.alloc(9)])).toThrow(Error);
});
