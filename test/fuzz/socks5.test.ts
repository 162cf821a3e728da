import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AwlError } from '../../src/errors.js';
import { readConnect } from '../../src/wire/http-connect.js';
import {
  encodeRequest,
  encodeSocksDatagram,
  readChoice,
  readCredentials,
  readCredentialsAnswer,
  readGreeting,
  readReply,
  readRequest,
  readSocksDatagram,
} from '../../src/wire/socks5.js';

const READERS = [readGreeting, readChoice, readCredentials, readCredentialsAnswer, readRequest, readReply];
const bytes = fc
  .tuple(fc.constantFrom(5, 1, 0, 4), fc.uint8Array({ maxLength: 300 }))
  .map(([first, rest]) => Buffer.concat([Buffer.from([first]), rest]));

test('octets of anybody are a message, the beginning of one, or a clean error', () => {
  fc.assert(
    fc.property(bytes, (data) => {
      for (const read of READERS) {
        try {
          const message = read(data);
          if (message) expect(message.length).toBeLessThanOrEqual(data.length);
        } catch (error) {
          expect(error).toBeInstanceOf(AwlError);
        }
      }
      readSocksDatagram(data);
    }),
    { numRuns: 3_000 },
  );
});

test('what arrives in pieces reads like what arrives at once', () => {
  fc.assert(
    fc.property(bytes, fc.nat(300), (data, cut) => {
      for (const read of [readGreeting, readCredentials]) {
        try {
          const early = read(data.subarray(0, cut));
          if (early) expect(read(data)).toEqual(early);
        } catch {
          expect(() => read(data)).toThrow();
        }
      }
    }),
    { numRuns: 2_000 },
  );
});

test('every target comes back from its request and its datagram', () => {
  const host = fc.oneof(fc.ipV4(), fc.domain(), fc.constantFrom('::1', '2001:db8::1'));
  fc.assert(
    fc.property(host, fc.nat(65_535), fc.uint8Array({ maxLength: 50 }), (name, port, payload) => {
      const to = { host: name, port };
      expect(readRequest(encodeRequest('connect', to))?.to).toEqual(to);
      const datagram = readSocksDatagram(encodeSocksDatagram(to, payload));
      expect(datagram && { ...datagram, payload: [...datagram.payload] }).toEqual({
        to,
        payload: [...payload],
      });
    }),
    { numRuns: 1_000 },
  );
});

test('no head of HTTP crashes the reader or waits for more than its limit', () => {
  const text = fc
    .array(
      fc.oneof(
        fc.constantFrom('CONNECT ', 'a:1', ' HTTP/1.1', '\r\n', '\n', '[::1]:2', 'GET '),
        fc.string({ unit: 'binary' }),
      ),
    )
    .map((all) => all.join(''));
  fc.assert(
    fc.property(text, (head) => {
      try {
        const read = readConnect(Buffer.from(head, 'latin1'));
        if (read) expect(read.length).toBeLessThanOrEqual(head.length);
      } catch (error) {
        expect(error).toBeInstanceOf(AwlError);
      }
    }),
    { numRuns: 2_000 },
  );
});
