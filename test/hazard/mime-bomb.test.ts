import { test } from 'vitest';
import { MESSAGE_MAX_BYTES } from '../../src/constants.js';
import { der, sequence, TAG } from '../../src/wire/asn1.js';
import { encodeBase64Lines } from '../../src/wire/mime.js';
import { encryptMessage } from '../../src/wire/smime.js';
import { OID } from '../../src/wire/smime-algorithms.js';
import { receive, refusal } from '../support/exchange.js';
import { capturedParty } from '../support/parties.js';

const alice = capturedParty('alice');
const bob = capturedParty('bob');

function nested(depth: number): string {
  const open = Array.from(
    { length: depth },
    (_, i) => `Content-Type: multipart/signed; boundary=${i}\r\n\r\n--${i}\r\n`,
  );
  const close = Array.from({ length: depth }, (_, i) => `\r\n--${depth - 1 - i}--`);
  return open.join('') + close.join('');
}

/** The message as it is, and as the inside of an envelope that anybody could have made. */
function bothWays(message: string | Buffer) {
  const bytes = Buffer.from(message);
  const sealed = encryptMessage(bytes.subarray(0, 40_000), bob.cert.x509, 'aes256');
  return [bytes, sealed].map((each) => () => receive({ form: 'smime', bytes: each }, bob, alice));
}

const REFUSALS = [
  'MESSAGE_MALFORMED',
  'MESSAGE_NOT_PINNED',
  'MESSAGE_TOO_LARGE',
  'MESSAGE_UNDECRYPTABLE',
] as const;

test.each([
  ['parts nested 1 000 deep', nested(1000)],
  [
    'a thousand parts',
    `Content-Type: multipart/signed; boundary=b\r\n\r\n${'--b\r\n\r\nx\r\n'.repeat(1000)}--b--`,
  ],
  ['ten thousand headers', `${'A: b\r\n'.repeat(10_000)}\r\n`],
  ['a header folded ten thousand times', `A: b\r\n${' x\r\n'.repeat(10_000)}\r\n`],
  [
    'a boundary parameter ten thousand times',
    `Content-Type: multipart/signed${'; boundary=b'.repeat(2_000)}\r\n\r\n`,
  ],
  ['twenty thousand semicolons', `Content-Type: multipart/signed${'; '.repeat(10_000)}\r\n\r\n`],
  ['a quote of thirty thousand backslashes', `Content-Type: a/b; x="${'\\'.repeat(30_000)}\r\n\r\n`],
  ['nothing but line ends', '\r\n'.repeat(30_000)],
  ['nothing but dashes', `Content-Type: multipart/signed; boundary=-\r\n\r\n${'-'.repeat(60_000)}`],
  ['NULs', Buffer.alloc(60_000)],
])(
  '%s is refused at once',
  (_what, message) => {
    for (const action of bothWays(message)) refusal(action, ...REFUSALS);
  },
  5_000,
);

test('a line of a megabyte is refused by its size, before anything is read', () => {
  const bytes = Buffer.from(`Content-Type: application/x-pkcs7-mime\r\n\r\n${'A'.repeat(1_000_000)}`);
  for (const form of ['smime', 'plain'] as const) {
    refusal(() => receive({ form, bytes }, bob, alice, { allowPlaintext: true }), 'MESSAGE_TOO_LARGE');
  }
  refusal(
    () => receive({ form: 'smime', bytes: Buffer.alloc(MESSAGE_MAX_BYTES + 1) }, bob, alice),
    'MESSAGE_TOO_LARGE',
  );
});

function envelope(p7: Buffer) {
  const head = 'Content-Type: application/x-pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n';
  return { form: 'smime', bytes: Buffer.from(head + encodeBase64Lines(p7)) } as const;
}

test.each([
  ['ten thousand levels', Buffer.from('3080'.repeat(10_000), 'hex')],
  ['twenty thousand members', der(TAG.SEQUENCE, Buffer.from('0500'.repeat(20_000), 'hex'))],
  ['a length of four gigabytes', Buffer.from('3084ffffffff', 'hex')],
  ['an octet string of ten thousand chunks', Buffer.from(`2480${'040161'.repeat(10_000)}0000`, 'hex')],
  ['a multi-octet tag', Buffer.from('1fffffff7f00', 'hex')],
])('an envelope of %s is refused at once', (_what, p7) => {
  refusal(() => receive(envelope(p7), bob, alice), 'MESSAGE_MALFORMED');
});

test('an envelope with us as recipient hundredfold costs one look, not a hundred decryptions', () => {
  const bytes = encryptMessage(Buffer.from('A: b\r\n\r\n'), bob.cert.x509, 'aes256');
  const p7 = Buffer.from(bytes.toString('latin1').split('\r\n\r\n')[1] ?? '', 'base64');
  const set = p7.subarray(p7.indexOf(Buffer.from('020100318201', 'hex')) + 3);
  const length = set.readUInt16BE(2);
  const recipient = set.subarray(4, 4 + length);
  const rest = set.subarray(4 + length);
  const many = sequence(
    OID.envelopedData,
    der(
      0xa0,
      sequence(
        Buffer.from('020100', 'hex'),
        der(TAG.SET, ...Array.from({ length: 100 }, () => recipient)),
        rest,
      ),
    ),
  );
  refusal(() => receive(envelope(many), bob, alice), 'MESSAGE_UNDECRYPTABLE');
  const once = sequence(
    OID.envelopedData,
    der(0xa0, sequence(Buffer.from('020100', 'hex'), der(TAG.SET, recipient), rest)),
  );
  refusal(() => receive(envelope(once), bob, alice), 'MESSAGE_NOT_PINNED');
});
