import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isAwlError } from '../../src/errors.js';
import { decodeBundle, encodeBundle } from '../../src/identity/bundle.js';
import { isNamePart, parseName } from '../../src/identity/names.js';
import { parsePrivateKey } from '../../src/identity/private-key.js';
import { parseCertificate } from '../../src/identity/x509.js';
import { fixture } from '../support/identities.js';

const alice = parseCertificate(fixture('alice.crt'), 'alice.crt');
const text = encodeBundle(parseName('alice@px.test/pinA'), alice);
const REFUSALS = ['IDENTITY_INVALID', 'IDENTITY_NAME', 'IDENTITY_UNSAFE'] as const;

/** One to four places of `source` overwritten, cut out or doubled. */
function damaged(source: string): fc.Arbitrary<string> {
  const edit = fc.record({
    at: fc.nat({ max: source.length - 1 }),
    length: fc.integer({ min: 0, max: 80 }),
    put: fc.oneof(
      fc.string({ maxLength: 4 }),
      fc.string({ unit: 'binary', maxLength: 8 }),
      fc.constant(source.slice(0, 200)),
    ),
  });
  return fc.array(edit, { minLength: 1, maxLength: 4 }).map((edits) => {
    let out = source;
    for (const { at, length, put } of edits) out = out.slice(0, at) + put + out.slice(at + length);
    return out;
  });
}

/** Runs `read`; any refusal but a clean AwlError fails the test. */
function readOrRefuse<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!isAwlError(error, ...REFUSALS)) throw error;
    return undefined;
  }
}

test('a damaged bundle is refused cleanly, or still pins the very key that its fingerprint line names', () => {
  fc.assert(
    fc.property(damaged(text), (bundle) => {
      const read = readOrRefuse(() => decodeBundle(bundle, 'b'));
      // Without its name line it is a plain certificate, which names no fingerprint.
      if (!read?.name) return;
      expect(read.cert.fingerprint).toBe(alice.fingerprint);
      expect(isNamePart(read.name.owner) && isNamePart(read.name.pin)).toBe(true);
    }),
    { numRuns: 2_000 },
  );
});

test('whatever surrounds a bundle, it reads the same or is refused', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.string({ maxLength: 200 }),
      (before, after) => {
        const read = readOrRefuse(() => decodeBundle(`${before}\n${text}${after}`, 'b'));
        if (read) expect([read.name?.owner, read.cert.pem]).toEqual(['alice@px.test', alice.pem]);
      },
    ),
    { numRuns: 1_500 },
  );
});

test('every name and certificate comes back from its bundle', () => {
  const part = fc.stringMatching(/^[A-Za-z0-9_@+][A-Za-z0-9._@+-]{0,63}$/).filter(isNamePart);
  fc.assert(
    fc.property(part, part, (owner, pin) => {
      const read = decodeBundle(encodeBundle({ owner, pin }, alice), 'b');
      expect(read).toMatchObject({ name: { owner, pin }, cert: { fingerprint: alice.fingerprint } });
    }),
    { numRuns: 1_000 },
  );
});

test('a damaged certificate or key is a clean error, or unchanged in what counts', () => {
  const key = fixture('alice.key').toString();
  fc.assert(
    fc.property(damaged(fixture('alice.text.crt').toString()), damaged(key), (certText, keyText) => {
      const cert = readOrRefuse(() => parseCertificate(certText, 'c'));
      expect(cert === undefined || /^[0-9a-f]{64}$/.test(cert.fingerprint)).toBe(true);
      const loaded = readOrRefuse(() => parsePrivateKey(Buffer.from(keyText), alice, 'k'));
      if (loaded) expect(alice.x509.checkPrivateKey(loaded)).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});
