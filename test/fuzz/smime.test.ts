import fc from 'fast-check';
import { expect, test } from 'vitest';
import { open } from '../../src/rendezvous/sealing.js';
import { type Asn1, decodeTime, der, encodeOid, encodeTime, readBer } from '../../src/wire/asn1.js';
import { encodeBase64Lines } from '../../src/wire/mime.js';
import { decryptMessage, encryptMessage, signMessage, verifyMessage } from '../../src/wire/smime.js';
import { wrapSigned } from '../support/crafted-signature.js';
import { NOW } from '../support/exchange.js';
import { answersOrRefuses } from '../support/fuzzing.js';
import { captured, capturedEntity, capturedParty } from '../support/parties.js';

const alice = capturedParty('alice');
const bob = capturedParty('bob');

/** Trees of tags that occur in messages, with lengths that are right, wrong or indefinite. */
const tree = fc.letrec<{ node: Buffer }>((tie) => ({
  node: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc
      .tuple(fc.constantFrom(0x02, 0x04, 0x05, 0x06, 0x0c, 0x17, 0x80), fc.uint8Array({ maxLength: 12 }))
      .map(([tag, value]) => der(tag, value)),
    fc
      .tuple(fc.constantFrom(0x30, 0x31, 0xa0, 0x24), fc.array(tie('node'), { maxLength: 6 }))
      .map(([tag, children]) => der(tag, ...children)),
    fc
      .array(tie('node'), { maxLength: 4 })
      .map((children) => Buffer.concat([Buffer.from([0x30, 0x80]), ...children, Buffer.alloc(2)])),
  ),
})).node;

/** Real structures with some octets replaced. */
function damaged(bytes: Buffer) {
  const change = fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 }));
  return fc.array(change, { minLength: 1, maxLength: 4 }).map((changes) => {
    const copy = Buffer.from(bytes);
    for (const [at, value] of changes) copy[at] = value;
    return copy;
  });
}

function signatureOf(message: Buffer): Buffer {
  const base64 = /smime\.p7s"\r\n\r\n([\s\S]*?)\r\n\r\n/.exec(message.toString('latin1'))?.[1] ?? '';
  return Buffer.from(base64, 'base64');
}

function again(node: Asn1): Buffer {
  return node.tag & 0x20 ? der(node.tag, ...node.children.map(again)) : der(node.tag, node.value);
}

test('any octets are BER or refused; what is read can be written and read again', () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), tree), (bytes) => {
      answersOrRefuses(
        () => readBer(Buffer.from(bytes)),
        (node) => {
          expect(node.raw.length).toBe(bytes.length);
          const der1 = again(node);
          expect(again(readBer(der1))).toEqual(der1);
        },
      );
    }),
    { numRuns: 10_000 },
  );
});

test('OIDs and times survive the round trip', () => {
  const arcs = fc.tuple(fc.bigInt({ min: 0n, max: 39n }), fc.array(fc.bigInt({ min: 0n, max: 2n ** 130n })));
  fc.assert(
    fc.property(
      arcs,
      fc.date({ min: new Date(0), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true }),
      ([second, rest], date) => {
        const oid = readBer(encodeOid(['1', second, ...rest].join('.')));
        const read: bigint[] = [];
        let arc = 0n;
        for (const octet of oid.value) {
          arc = (arc << 7n) | BigInt(octet & 0x7f);
          if (octet < 0x80) {
            read.push(arc);
            arc = 0n;
          }
        }
        expect(read).toEqual([40n + second, ...rest]);
        const seconds = new Date(Math.floor(date.getTime() / 1000) * 1000);
        expect(decodeTime(readBer(encodeTime(seconds)))).toEqual(seconds);
      },
    ),
    { numRuns: 2_000 },
  );
});

test('any signature is refused unless alice made it', () => {
  const real = signatureOf(captured('invite.signed.mime'));
  const text = captured('invite.plain.txt').toString().trim();
  expect(verifyMessage(wrapSigned(text, real), alice.cert.x509).text.toString()).toBe(text);
  fc.assert(
    fc.property(fc.oneof(tree, damaged(real)), (p7) => {
      answersOrRefuses(
        () => verifyMessage(wrapSigned(text, p7), alice.cert.x509),
        (verified) => expect(verified.signedAt?.toISOString()).toBe('2026-11-21T07:21:06.000Z'),
      );
    }),
    { numRuns: 5_000 },
  );
});

test('any envelope is refused or opens to what was in it', () => {
  const entity = capturedEntity('invite-alice-to-bob.eml').toString('latin1');
  const [head = '', body = ''] = entity.split('\r\n\r\n');
  const real = Buffer.from(body, 'base64');
  const options = { app: 'pxapp', kind: 'invite', host: bob, peer: alice, now: NOW } as const;
  fc.assert(
    fc.property(fc.oneof(tree, damaged(real)), (p7) => {
      const bytes = Buffer.from(`${head}\r\n\r\n${encodeBase64Lines(p7)}`);
      answersOrRefuses(
        () => open({ form: 'smime', bytes }, options),
        ({ reference }) => expect(reference.endpoint.port).toBe(5021),
      );
    }),
    { numRuns: 1_500 },
  );
});

test('any bytes in either form are refused', () => {
  const options = { app: 'pxapp', kind: 'invite', host: bob, peer: alice, now: NOW } as const;
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.constantFrom('smime', 'plain'), (bytes, form) => {
      answersOrRefuses(
        () => open({ form, bytes }, options),
        () => expect.unreachable(),
      );
    }),
    { numRuns: 3_000 },
  );
});

test('any text and extension survive signing, encrypting and back', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', maxLength: 80 }),
      fc.uint8Array({ maxLength: 200 }),
      (text, extension) => {
        const signing = { cert: alice.cert.x509, key: alice.key, signedAt: NOW, extension };
        const { message } = signMessage(text, signing);
        const sealed = encryptMessage(message, bob.cert.x509, 'aes256');
        const verified = verifyMessage(decryptMessage(sealed, bob.cert.x509, bob.key), alice.cert.x509);
        expect(verified.text.toString()).toBe(text.replace(/\r?\n/g, '\r\n'));
        expect(verified.extension).toEqual(Buffer.from(extension));
      },
    ),
    { numRuns: 1_000 },
  );
});
