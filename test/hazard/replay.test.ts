import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ReplayGuard } from '../../src/rendezvous/replay-guard.js';
import { contextTag, der, readBer, sequence, setOf, TAG } from '../../src/wire/asn1.js';
import { decryptMessage, encryptMessage } from '../../src/wire/smime.js';
import { OID } from '../../src/wire/smime-algorithms.js';
import { after, invitation, NOW, receive } from '../support/exchange.js';
import { capturedParty } from '../support/parties.js';

const alice = capturedParty('alice');
const bob = capturedParty('bob');
let folder: string;
let guard: ReplayGuard;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'awl-replay-'));
  guard = await ReplayGuard.open(join(folder, 'seen'), NOW);
});

afterEach(async () => {
  await guard.close();
  await rm(folder, { recursive: true, force: true });
});

const digestOf = (bytes: Uint8Array) => receive({ form: 'smime', bytes }, bob, alice).digest;

test('the same mail twice is one invitation, also after a restart', async () => {
  const { bytes } = invitation(alice, bob);
  expect(await guard.admit(digestOf(bytes), NOW)).toBe(true);
  expect(await guard.admit(digestOf(bytes), NOW)).toBe(false);
  await guard.close();
  guard = await ReplayGuard.open(join(folder, 'seen'), after(60_000));
  expect(await guard.admit(digestOf(bytes), after(60_000))).toBe(false);
});

test('a copy that was encrypted anew, wrapped anew or cut into other lines is the same invitation', async () => {
  const { bytes } = invitation(alice, bob, { extension: { caps: ['confirm'] } });
  const signed = decryptMessage(bytes, bob.cert.x509, bob.key);
  const text = signed.toString('latin1');
  const boundary = /boundary="([^"]+)"/.exec(text)?.[1] ?? '';
  const lf = Buffer.from(Buffer.from(bytes).toString('latin1').replaceAll('\r\n', '\n'), 'latin1');
  const [head = '', body = ''] = Buffer.from(bytes).toString('latin1').split('\r\n\r\n');
  const copies = [
    lf,
    Buffer.from(`${head}\r\n\r\n${body.replaceAll('\r\n', '').replace(/.{1,40}/g, '$& \r\n')}`),
    Buffer.from(`X-Spam: no\r\n${head}\r\n\r\n${body}`),
    encryptMessage(signed, bob.cert.x509, 'des3'),
    encryptMessage(Buffer.from(text.replaceAll(boundary, 'other')), bob.cert.x509, 'aes256'),
    encryptMessage(
      Buffer.from(text.replace('This is an S/MIME signed message', 'x')),
      bob.cert.x509,
      'aes128',
    ),
  ];
  expect(await guard.admit(digestOf(bytes), NOW)).toBe(true);
  for (const copy of copies) {
    expect(Buffer.from(bytes).equals(copy)).toBe(false);
    expect(await guard.admit(digestOf(copy), NOW)).toBe(false);
  }
});

test('certificates and unsigned attributes added on the way do not make a new invitation', async () => {
  const { bytes, digest } = invitation(alice, bob);
  const signed = decryptMessage(bytes, bob.cert.x509, bob.key).toString('latin1');
  const [before = '', base64 = '', rest = ''] = signed.split(
    /(?<=smime\.p7s"\r\n\r\n)|(?=\r\n\r\n?------[^\r]*--\r\n)/,
  );
  const p7 = Buffer.from(base64, 'base64');
  const grown = growSignedData(p7, alice.cert.x509.raw);
  const copy = `${before}${grown.toString('base64')}${rest}`;
  const sealed = encryptMessage(Buffer.from(copy, 'latin1'), bob.cert.x509, 'aes256');
  expect(digestOf(sealed)).toBe(digest);
});

test('ten thousand copies of a hundred invitations open a hundred sessions', async () => {
  const digests = Array.from(
    { length: 100 },
    (_, i) => invitation(alice, bob, { now: after(i * 1000) }).digest,
  );
  let admitted = 0;
  for (let round = 0; round < 100; round++) {
    const verdicts = await Promise.all(digests.map((digest) => guard.admit(digest, NOW)));
    admitted += verdicts.filter(Boolean).length;
  }
  expect(admitted).toBe(100);
});

/** Puts into a SignedData what the grammar allows and no signature covers; whoever can decrypt it can. */
function growSignedData(p7: Buffer, certificate: Buffer): Buffer {
  const [type, wrapped] = readBer(p7).children;
  const fields = wrapped?.children[0]?.children.map(({ raw }) => raw) ?? [];
  const [version, digests, inner, infos] = fields;
  const signer = readBer(infos!).children[0]!.children.map(({ raw }) => raw);
  const unsigned = der(contextTag(1), sequence(OID.contentType, setOf(OID.data)));
  const grown = der(TAG.SET, sequence(...signer, unsigned));
  const signedData = sequence(version!, digests!, inner!, der(contextTag(0), certificate), grown);
  return sequence(type!.raw, der(contextTag(0), signedData));
}
