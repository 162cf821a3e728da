import { isDeepStrictEqual } from 'node:util';
import { expect, test } from 'vitest';
import { AwlError } from '../../src/errors.js';
import { encodeBase64Lines } from '../../src/wire/mime.js';
import { decryptMessage, encryptMessage, verifyMessage } from '../../src/wire/smime.js';
import { invitation, REFERENCE, REFERENCE_TEXT, receive, refusal } from '../support/exchange.js';
import { capturedParty } from '../support/parties.js';

const alice = capturedParty('alice');
const bob = capturedParty('bob');
const sealed = invitation(alice, bob, { extension: { caps: ['confirm'], dh: Buffer.alloc(32, 1) } });
const honest = receive(sealed, bob, alice);

/** Deterministic noise (xorshift32), so that a failure can be repeated. */
function noise(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

function flip(bytes: Uint8Array, random: (below: number) => number): Buffer {
  const copy = Buffer.from(bytes);
  copy[random(copy.length)]! ^= 1 << random(8);
  return copy;
}

/** Runs `action`; true if it was refused by an AwlError, false if it yielded exactly `expected`. */
function refused(action: () => unknown, expected: unknown): boolean {
  try {
    const got = action();
    // Ten times quicker than expect, which only has to say what differs.
    if (!isDeepStrictEqual(got, expected)) expect(got).toEqual(expected);
    return false;
  } catch (error) {
    if (error instanceof AwlError) return true;
    throw error;
  }
}

test('of 6 000 messages with a flipped bit none opens with another content', () => {
  const random = noise(0x5eed);
  let refusals = 0;
  for (let i = 0; i < 6_000; i++) {
    const bytes = flip(sealed.bytes, random);
    if (refused(() => receive({ form: 'smime', bytes }, bob, alice), honest)) refusals++;
  }
  // The rest hit a header that says nothing, such as Content-Disposition.
  expect(refusals).toBeGreaterThan(5_500);
});

test('of 3 000 envelopes with a flipped bit in their DER none opens with another content', () => {
  const random = noise(0xca11);
  const text = Buffer.from(sealed.bytes).toString('latin1');
  const [head = '', body = ''] = text.split('\r\n\r\n');
  const p7 = Buffer.from(body, 'base64');
  let refusals = 0;
  for (let i = 0; i < 3_000; i++) {
    const bytes = Buffer.from(`${head}\r\n\r\n${encodeBase64Lines(flip(p7, random))}`);
    if (refused(() => receive({ form: 'smime', bytes }, bob, alice), honest)) refusals++;
  }
  expect(refusals).toBeGreaterThan(2_900);
});

test('of 20 000 signed messages with a flipped bit none verifies with another content', () => {
  const random = noise(0xf00d);
  const signed = decryptMessage(sealed.bytes, bob.cert.x509, bob.key);
  const verified = verifyMessage(signed, alice.cert.x509);
  let refusals = 0;
  for (let i = 0; i < 20_000; i++) {
    if (refused(() => verifyMessage(flip(signed, random), alice.cert.x509), verified)) refusals++;
  }
  expect(refusals).toBeGreaterThan(15_000);
});

test('cut short anywhere, a message opens nothing or what it said', () => {
  for (let length = 0; length < sealed.bytes.length; length += 7) {
    const bytes = sealed.bytes.subarray(0, length);
    refused(() => receive({ form: 'smime', bytes }, bob, alice), honest);
  }
  refusal(
    () => receive({ form: 'smime', bytes: sealed.bytes.subarray(0, 2_000) }, bob, alice),
    'MESSAGE_MALFORMED',
  );
});

test('the extension of one message cannot be put under the text of another', () => {
  const other = invitation(alice, bob, {
    reference: { ...REFERENCE, endpoint: { address: '203.0.113.66', port: 1 } },
    extension: { caps: ['confirm', 'relay'] },
  });
  const signed = decryptMessage(sealed.bytes, bob.cert.x509, bob.key).toString('latin1');
  const otherSigned = decryptMessage(other.bytes, bob.cert.x509, bob.key).toString('latin1');
  const otherText = 'PLEXUS 3.0 203.0.113.66 1 18364758544493064720';
  expect(otherSigned).toContain(otherText);
  for (const swapped of [
    signed.replace(REFERENCE_TEXT, otherText),
    otherSigned.replace(otherText, REFERENCE_TEXT),
  ]) {
    const bytes = encryptMessage(Buffer.from(swapped, 'latin1'), bob.cert.x509, 'aes256');
    refusal(() => receive({ form: 'smime', bytes }, bob, alice), 'MESSAGE_NOT_PINNED');
  }
});

test('an extension that alice signed but that is wrong closes the message', () => {
  const signed = decryptMessage(sealed.bytes, bob.cert.x509, bob.key).toString('latin1');
  const base64 = /smime\.p7s"\r\n\r\n([\s\S]*?)\r\n\r\n/.exec(signed)?.[1] ?? '';
  const p7 = Buffer.from(base64, 'base64');
  // Taken out or changed, the attribute breaks the signature; there is no way to a message without it.
  const at = p7.indexOf('"caps":["confirm"]');
  expect(at).toBeGreaterThan(0);
  p7.write('"caps":["concern"]', at);
  const changed = signed.replace(base64, encodeBase64Lines(p7).trimEnd());
  const bytes = encryptMessage(Buffer.from(changed, 'latin1'), bob.cert.x509, 'aes256');
  refusal(() => receive({ form: 'smime', bytes }, bob, alice), 'MESSAGE_NOT_PINNED');
});
