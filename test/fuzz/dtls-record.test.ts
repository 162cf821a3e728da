import { createCipheriv } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  DTLS_HEADER_BYTES,
  DTLS_RECORD_BYTES,
  type DtlsKeys,
  DtlsOpener,
  DtlsSealer,
  dtlsRecords,
  isClientHello,
  splitJoined,
} from '../../src/wire/dtls-record.js';

const keys: DtlsKeys = {
  cipher: 'aes-128-gcm',
  key: Buffer.alloc(16, 1),
  salt: Buffer.from([1, 2, 3, 4]),
};
const bytes = (maxLength: number, minLength = 0) =>
  fc.uint8Array({ maxLength, minLength }).map((one) => Buffer.from(one));

function sealed(sealer: DtlsSealer, data: Buffer): Buffer {
  const record = Buffer.alloc(data.length + DTLS_RECORD_BYTES);
  expect(sealer.seal(data, record, 0)).toBe(record.length);
  return record;
}

const stun = bytes(80).map((body) => {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(1, 0);
  header.writeUInt16BE(body.length, 2);
  return Buffer.concat([header, body]);
});
const record = fc.tuple(fc.constantFrom(20, 21, 22, 23), bytes(80)).map(([type, body]) => {
  const header = Buffer.alloc(DTLS_HEADER_BYTES);
  header[0] = type;
  header.writeUInt16BE(body.length, 11);
  return Buffer.concat([header, body]);
});

test('a record is what RFC 6347 and RFC 5288 say', () => {
  const data = Buffer.from('hello');
  const number = Buffer.from('0001000100000007', 'hex');
  const nonce = Buffer.concat([keys.salt, number]);
  const cipher = createCipheriv('aes-128-gcm', keys.key, nonce, { authTagLength: 16 });
  cipher.setAAD(Buffer.concat([number, Buffer.from('17fefd0005', 'hex')]));
  const text = Buffer.concat([cipher.update(data), cipher.final(), cipher.getAuthTag()]);
  const header = Buffer.concat([Buffer.from('17fefd', 'hex'), number, Buffer.from([0, 8 + text.length])]);
  expect(sealed(new DtlsSealer(keys, 2 ** 32 + 7), data)).toEqual(Buffer.concat([header, number, text]));
});

test('a record opens once, in any order, and not when it was changed', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(bytes(300, 1), fc.nat()), { minLength: 1, maxLength: 30 }),
      fc.nat(),
      (messages, at) => {
        const sealer = new DtlsSealer(keys, 5);
        const opener = new DtlsOpener(keys);
        const records = messages.map(([data, order]) => ({ data, order, record: sealed(sealer, data) }));
        records.sort((a, b) => a.order - b.order);
        for (const { data, record } of records) {
          const bent = Buffer.from(record);
          bent[at % bent.length] = (bent[at % bent.length] as number) ^ 1;
          // The length of the whole is not looked at here: where it ends is where the datagram does.
          const isLength = at % bent.length === 11 || at % bent.length === 12;
          if (!isLength) expect(opener.open(bent)).toBeUndefined();
          expect(opener.open(record)).toEqual(data);
          expect(opener.open(record)).toBeUndefined();
        }
      },
    ),
    { numRuns: 50 },
  );
});

test('a record from long ago does not open, and a forged number moves no window', () => {
  const sealer = new DtlsSealer(keys, 5);
  const opener = new DtlsOpener(keys);
  const old = sealed(sealer, Buffer.from('old'));
  const forged = Buffer.from(old);
  forged.writeUIntBE(2 ** 40, 5, 6);
  expect(opener.open(forged)).toBeUndefined();
  for (let i = 0; i < 2047; i++) {
    expect(opener.open(sealed(sealer, Buffer.from('new')))?.toString()).toBe('new');
  }
  expect(opener.open(old)?.toString()).toBe('old');
  expect(opener.open(old)).toBeUndefined();
  const unseen = sealed(sealer, Buffer.from('unseen'));
  const far = new DtlsSealer(keys, 10_000);
  expect(opener.open(sealed(far, Buffer.from('far')))?.toString()).toBe('far');
  expect(opener.open(unseen)).toBeUndefined();
});

test('datagrams that were joined come apart, and nothing of them is lost', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(stun, record), { maxLength: 20 }), (datagrams) => {
      const messages = splitJoined(Buffer.concat(datagrams)).filter((one) => (one[0] as number) < 20);
      expect(messages).toEqual(datagrams.filter((one) => (one[0] as number) < 20));
      const records = splitJoined(Buffer.concat(datagrams))
        .filter((one) => (one[0] as number) >= 20)
        .flatMap((run) => dtlsRecords(run));
      expect(records).toEqual(datagrams.filter((one) => (one[0] as number) >= 20));
    }),
  );
});

test('no bytes make the readers throw, and none of them vanish', () => {
  const opener = new DtlsOpener(keys);
  const noise = fc.array(fc.oneof(stun, record, bytes(60)), { maxLength: 8 });
  fc.assert(
    fc.property(noise, (parts) => {
      const all = Buffer.concat(parts);
      const pieces = splitJoined(all);
      expect(Buffer.concat(pieces)).toEqual(all);
      for (const one of pieces.flatMap((piece) => dtlsRecords(piece))) {
        expect(opener.open(one)).toBeUndefined();
        expect(isClientHello(one)).toBe(one[0] === 22 && one[DTLS_HEADER_BYTES] === 1);
      }
    }),
  );
});
