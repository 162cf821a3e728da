import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { decodeStun, encodeStun, hasCookie, repeatsId } from '../../../src/wire/stun.js';

const hex = (text: string) => Buffer.from(text.replace(/\s/g, ''), 'hex');

/** RFC 5769 section 2.1 to 2.3. */
const SAMPLE_REQUEST = hex(`000100582112a442b7e7a701bc34d686fa87dfae
  802200105354554e207465737420636c69656e74 002400046e0001ff 80290008932ff9b151263b36
  0006000965 76746a3a68367659202020 000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 80280004e57a3bcf`);
const SAMPLE_V4 = hex(`0101003c2112a442b7e7a701bc34d686fa87dfae 8022000b7465737420766563746f7220
  002000080001a147e112a643 000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7 80280004c07d4c96`);
const SAMPLE_V6 = hex(`010100482112a442b7e7a701bc34d686fa87dfae 8022000b7465737420766563746f7220
  002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9
  00080014a382954e4be67bf11784c97c8292c275bfe3ed41 80280004c8fb0b4c`);

const COOKIE_ID = hex('2112a442b7e7a701bc34d686fa87dfae');
const CLASSIC_ID = hex('476727f4f305015482376ca6bd2cd9de');

/** A success answer with the given id and raw attributes. */
function answer(id: Buffer, attributes: string): Buffer {
  const body = hex(attributes);
  const head = Buffer.alloc(4);
  head.writeUInt16BE(0x0101);
  head.writeUInt16BE(body.length, 2);
  return Buffer.concat([head, id, body]);
}

interface Transaction {
  readonly src: string;
  readonly change_flags: string | null;
  readonly request: string;
  readonly response: string;
}
const captured: Record<'v314' | 'v341', Transaction[]> = JSON.parse(
  readFileSync(new URL('../../fixtures/stun/transactions.json', import.meta.url), 'utf8'),
);

describe('RFC 5769 vectors', () => {
  test('the request is read, padding and all, and what was not understood is named', () => {
    const request = decodeStun(SAMPLE_REQUEST);
    expect(request?.kind).toBe('request');
    expect(request?.notUnderstood).toEqual([0x0024]);
    expect(hasCookie(request?.id ?? Buffer.alloc(16))).toBe(true);
  });

  test('the IPv4 and IPv6 mapped addresses come out unmasked', () => {
    expect(decodeStun(SAMPLE_V4)?.xorMapped).toEqual({ address: '192.0.2.1', port: 32853 });
    expect(decodeStun(SAMPLE_V6)?.xorMapped).toEqual({
      address: '2001:db8:1234:5678:11:2233:4455:6677',
      port: 32853,
    });
  });
});

describe('what the real plexus sent', () => {
  test.each([...captured.v314, ...captured.v341])('request and response $request', (t) => {
    const [address, port] = t.src.split(':');
    const mapped = { address, port: Number(port) };
    const request = decodeStun(hex(t.request));
    const flags = Number(t.change_flags);
    expect(request?.change).toEqual({ ip: (flags & 4) !== 0, port: (flags & 2) !== 0 });
    const response = decodeStun(hex(t.response));
    expect(response?.mapped).toEqual(mapped);
    expect(response?.source?.address).toMatch(/^203\.0\.113\./);
    expect(response?.changed?.address).toMatch(/^203\.0\.113\./);
    if (request && hasCookie(request.id)) expect(response?.xorMapped).toEqual(mapped);
  });

  test('its classic requests are written byte for byte', () => {
    for (const { request } of captured.v314) {
      const read = decodeStun(hex(request));
      expect(read && encodeStun(read).toString('hex')).toBe(request);
    }
  });
});

describe('hazards of reading', () => {
  test('XOR-MAPPED of a server that echoes no cookie is garbage and ignored', () => {
    const read = decodeStun(answer(CLASSIC_ID, '000100080001c8d5c0000201 80200008000111111111 1111'));
    expect(read?.mapped).toEqual({ address: '192.0.2.1', port: 51413 });
    expect(read?.xorMapped).toBeUndefined();
  });

  test('XOR-MAPPED under its draft number counts where the cookie is there', () => {
    expect(decodeStun(answer(COOKIE_ID, '802000080001a147e112a643'))?.xorMapped?.port).toBe(32853);
  });

  test('of two addresses of one kind the first counts', () => {
    const read = decodeStun(answer(COOKIE_ID, '000100080001000a01020304 000100080001000b05060708'));
    expect(read?.mapped).toEqual({ address: '1.2.3.4', port: 10 });
  });

  test('an attribute that reaches past the end spoils the message', () => {
    expect(decodeStun(answer(COOKIE_ID, '0020ffff'))).toBeUndefined();
    expect(decodeStun(answer(COOKIE_ID, '002000080001a147'))).toBeUndefined();
    expect(decodeStun(answer(CLASSIC_ID, '0001'))).toBeUndefined();
  });

  test.each([
    ['address with family 3', '000100080003000a01020304'],
    ['IPv4 family with 16 octets', `000100140001000a${'01'.repeat(16)}`],
    ['IPv6 family with 4 octets', '000100080002000a01020304'],
    ['empty address', '00010000'],
    ['address of one octet', '0001000100000000'],
  ])('an ill-formed attribute is as good as absent: %s', (_, attributes) => {
    const read = decodeStun(answer(COOKIE_ID, attributes));
    expect(read?.kind).toBe('success');
    expect(read?.mapped).toBeUndefined();
  });

  test('a length that does not fit the datagram is refused, longer or shorter', () => {
    expect(decodeStun(SAMPLE_V4.subarray(0, -4))).toBeUndefined();
    expect(decodeStun(Buffer.concat([SAMPLE_V4, Buffer.alloc(4)]))).toBeUndefined();
  });

  test.each([
    ['nothing', ''],
    ['a stray datagram that begins like an answer', '010203040506'],
    ['a header that is one octet short', `01010000${'00'.repeat(15)}`],
    ['a TURN Allocate request', `00030000${'00'.repeat(16)}`],
    ['a Binding indication', `00110000${'00'.repeat(16)}`],
    ['a type with its two top bits set', `c1010000${'00'.repeat(16)}`],
  ])('%s is no Binding message', (_, text) => {
    expect(decodeStun(hex(text))).toBeUndefined();
  });

  test('the reason of an error cannot carry control characters into a log', () => {
    const read = decodeStun(
      Buffer.concat([
        hex('011100102112a442b7e7a701bc34d686fa87dfae0009000b00000414'),
        Buffer.from('a\n\x1b[2Jb\0'),
      ]),
    );
    expect(read?.error).toEqual({ code: 420, reason: 'a[2Jb' });
  });

  test('an id is recognised only in its place and in full', () => {
    expect(repeatsId(SAMPLE_V4, COOKIE_ID)).toBe(true);
    expect(repeatsId(SAMPLE_V4, CLASSIC_ID)).toBe(false);
    expect(repeatsId(SAMPLE_V4.subarray(0, 19), COOKIE_ID)).toBe(false);
  });
});

describe('writing', () => {
  test('a plain request is the 20 octets of the header', () => {
    expect(encodeStun({ kind: 'request', id: COOKIE_ID }).toString('hex')).toBe(
      `00010000${COOKIE_ID.toString('hex')}`,
    );
  });

  test('an error answer names the attribute that was not understood', () => {
    const bytes = encodeStun({
      kind: 'error',
      id: COOKIE_ID,
      error: { code: 420, reason: 'Unknown Attribute' },
      unknownAttributes: [3],
    });
    expect(bytes.length % 4).toBe(0);
    const read = decodeStun(bytes);
    expect(read?.error).toEqual({ code: 420, reason: 'Unknown Attribute' });
    expect(read?.unknownAttributes).toEqual([3]);
  });

  test('no XOR-MAPPED is written for a client without cookie', () => {
    const mapped = { address: '192.0.2.1', port: 1234 };
    const bytes = encodeStun({ kind: 'success', id: CLASSIC_ID, mapped, xorMapped: mapped });
    expect(bytes).toHaveLength(20 + 12);
  });
});
