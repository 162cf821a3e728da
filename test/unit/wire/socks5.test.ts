import { expect, test } from 'vitest';
import {
  encodeChoice,
  encodeCredentials,
  encodeCredentialsAnswer,
  encodeGreeting,
  encodeReply,
  encodeRequest,
  encodeSocksDatagram,
  readChoice,
  readCredentials,
  readCredentialsAnswer,
  readGreeting,
  readReply,
  readRequest,
  readSocksDatagram,
} from '../../../src/wire/socks5.js';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

// What curl 8 sends with --socks5-hostname http://example.com/, and with --socks5 and a password.
test('the octets of curl are understood', () => {
  expect(readGreeting(hex('05 02 00 01'))).toEqual({ methods: [0, 1], length: 4 });
  expect(readRequest(hex('05 01 00 03 0b 6578616d706c652e636f6d 0050'))).toEqual({
    command: 1,
    to: { host: 'example.com', port: 80 },
    length: 18,
  });
  expect(readRequest(hex('05 01 00 01 7f000001 1f90'))?.to).toEqual({ host: '127.0.0.1', port: 8080 });
  expect(readRequest(hex('05 03 00 04 00000000000000000000000000000001 0016'))).toMatchObject({
    command: 3,
    to: { host: '::1', port: 22 },
  });
  expect(readCredentials(hex('01 01 75 02 7077'))).toEqual({ user: 'u', password: 'pw', length: 6 });
});

test('every message comes back from its octets, and no beginning of one is taken for it', () => {
  const to = { host: 'example.com', port: 443 };
  const cases = [
    [encodeGreeting([0, 2]), readGreeting, { methods: [0, 2] }],
    [encodeChoice(2), readChoice, { method: 2 }],
    [encodeCredentials('meepo', 'geheim'), readCredentials, { user: 'meepo', password: 'geheim' }],
    [encodeCredentialsAnswer(false), readCredentialsAnswer, { accepted: false }],
    [encodeRequest('connect', to), readRequest, { command: 1, to }],
    [
      encodeReply('refused', { host: '::1', port: 9 }),
      readReply,
      { reply: 5, bound: { host: '::1', port: 9 } },
    ],
  ] as const;
  for (const [bytes, read, expected] of cases) {
    expect(read(bytes)).toEqual({ ...expected, length: bytes.length });
    expect(read(Buffer.concat([bytes, Buffer.from('more')]))).toEqual({ ...expected, length: bytes.length });
    for (let cut = 0; cut < bytes.length; cut++) expect(read(bytes.subarray(0, cut))).toBeUndefined();
  }
});

test('another version is an error at its first octet', () => {
  for (const read of [readGreeting, readChoice, readRequest, readReply]) {
    expect(() => read(Buffer.from([4]))).toThrow('begins with 4 instead of 5');
  }
  expect(() => readCredentials(Buffer.from([5]))).toThrow('instead of 1');
});

test('a kind of address that nobody knows is told apart, since it has its own reply', () => {
  expect(readRequest(hex('05 01 00 02 00'))).toMatchObject({ to: undefined });
  expect(() => readReply(hex('05 00 00 02 00'))).toThrow('kind 2');
});

test('datagrams come back; fragments and what is cut short do not', () => {
  const whole = encodeSocksDatagram({ host: '192.0.2.1', port: 53 }, Buffer.from('hello'));
  expect(readSocksDatagram(whole)).toEqual({
    to: { host: '192.0.2.1', port: 53 },
    payload: Buffer.from('hello'),
  });
  for (let cut = 0; cut < 10; cut++) expect(readSocksDatagram(whole.subarray(0, cut))).toBeUndefined();
  const fragment = Buffer.from(whole);
  fragment[2] = 1;
  expect(readSocksDatagram(fragment)).toBeUndefined();
});

test('a name that does not fit is refused instead of being cut', () => {
  expect(() => encodeRequest('connect', { host: 'a'.repeat(256), port: 1 })).toThrow(RangeError);
});
