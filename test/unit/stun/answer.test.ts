import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { answerBinding, type ServerLayout } from '../../../src/stun/answer.js';
import type { Endpoint } from '../../../src/util/endpoint.js';
import { parseEndpoint } from '../../../src/util/endpoint.js';
import { type DecodedStun, decodeStun, encodeStun, type StunMessage } from '../../../src/wire/stun.js';

interface Transaction {
  readonly src: string;
  readonly dst: string;
  readonly request: string;
  readonly reply_from: string;
  readonly response: string;
}
const captured: Record<'v314' | 'v341', Transaction[]> = JSON.parse(
  readFileSync(new URL('../../fixtures/stun/transactions.json', import.meta.url), 'utf8'),
);

const TWO: ServerLayout = { addresses: ['203.0.113.1', '203.0.113.2'], port: 3478, altPort: 3479 };
const ONE: ServerLayout = { addresses: ['203.0.113.1'], port: 3478, altPort: 3479 };
const MAIN: Endpoint = { address: '203.0.113.1', port: 3478 };
const CLIENT: Endpoint = { address: '198.51.100.10', port: 40001 };
const MODERN = Buffer.from('2112a442b7e7a701bc34d686fa87dfae', 'hex');
const CLASSIC = Buffer.from('476727f4f305015482376ca6bd2cd9de', 'hex');

function endpoint(text: string): Endpoint {
  const read = parseEndpoint(text);
  if (!read) throw new Error(text);
  return read;
}

function request(id: Buffer, change?: StunMessage['change'], notUnderstood: number[] = []): DecodedStun {
  return { kind: 'request', id, notUnderstood, ...(change && { change }) };
}

function replay(t: Transaction, layout = TWO) {
  const read = decodeStun(Buffer.from(t.request, 'hex'));
  return read && answerBinding(read, endpoint(t.src), endpoint(t.dst), layout);
}

describe('requests that the real plexus sent', () => {
  test.each(captured.v314)('3.1.4: $request is answered byte for byte as it was then', (t) => {
    const reply = replay(t);
    expect(reply?.from).toEqual(endpoint(t.reply_from));
    expect(reply && encodeStun(reply.message).toString('hex')).toBe(t.response);
  });

  test.each(captured.v341)('3.4.1: $request gets at least what it got then', (t) => {
    const reply = replay(t);
    expect(reply?.from).toEqual(endpoint(t.reply_from));
    const then = decodeStun(Buffer.from(t.response, 'hex'));
    const now = reply && decodeStun(encodeStun(reply.message));
    expect(now).toEqual({ ...then, origin: reply?.from });
  });

  test('a server with one address gives plexus 3.1 all three attributes too, and no answer it would die of', () => {
    for (const t of captured.v314.filter(({ dst }) => dst === '203.0.113.1:3478')) {
      const wantsOtherAddress = ['4', '6'].some((flags) => t.request.endsWith(flags));
      const reply = replay(t, ONE);
      if (wantsOtherAddress) expect(reply).toBeUndefined();
      else {
        expect(Object.keys(reply?.message ?? {})).toEqual(
          expect.arrayContaining(['mapped', 'source', 'changed']),
        );
        expect(reply?.message.changed).toEqual({ address: '203.0.113.1', port: 3479 });
      }
    }
  });
});

describe('modern requests', () => {
  test('a plain one gets both mapped addresses, the origin and the other address, and nothing classic', () => {
    expect(answerBinding(request(MODERN), CLIENT, MAIN, TWO)).toEqual({
      from: MAIN,
      message: {
        kind: 'success',
        id: MODERN,
        mapped: CLIENT,
        xorMapped: CLIENT,
        origin: MAIN,
        other: { address: '203.0.113.2', port: 3479 },
      },
    });
  });

  test.each([
    [false, false, '203.0.113.1:3478'],
    [false, true, '203.0.113.1:3479'],
    [true, false, '203.0.113.2:3478'],
    [true, true, '203.0.113.2:3479'],
  ])('CHANGE-REQUEST ip %s port %s is answered from %s', (ip, port, from) => {
    const reply = answerBinding(request(MODERN, { ip, port }), CLIENT, MAIN, TWO);
    expect(reply?.from).toEqual(endpoint(from));
    expect(reply?.message.origin).toEqual(reply?.from);
  });

  test('one address: no OTHER-ADDRESS, and a change of address is refused with 420 (RFC 5780 section 6.1)', () => {
    expect(answerBinding(request(MODERN), CLIENT, MAIN, ONE)?.message.other).toBeUndefined();
    const refused = answerBinding(request(MODERN, { ip: true, port: true }), CLIENT, MAIN, ONE);
    expect(refused).toMatchObject({ from: MAIN, message: { error: { code: 420 }, unknownAttributes: [3] } });
    const port = answerBinding(request(MODERN, { ip: false, port: true }), CLIENT, MAIN, ONE);
    expect(port?.from).toEqual({ address: '203.0.113.1', port: 3479 });
  });

  test('attributes that must be understood and are not are named (RFC 8489 section 6.3.1)', () => {
    const reply = answerBinding(request(MODERN, undefined, [0x26, 0x27]), CLIENT, MAIN, TWO);
    expect(reply?.message).toMatchObject({ kind: 'error', unknownAttributes: [0x26, 0x27] });
  });

  test('a classic client’s unknown attributes do not matter', () => {
    expect(answerBinding(request(CLASSIC, undefined, [0x26]), CLIENT, MAIN, TWO)?.message.kind).toBe(
      'success',
    );
  });
});

describe('what is no request', () => {
  test.each(['success', 'error'] as const)(
    'a %s is not answered, so that two servers cannot play ping-pong',
    (kind) => {
      expect(answerBinding({ ...request(MODERN), kind }, CLIENT, MAIN, TWO)).toBeUndefined();
    },
  );
});

describe('amplification', () => {
  const V6: ServerLayout = { addresses: ['2001:db8::1', '2001:db8::2'], port: 3478, altPort: 3479 };
  test.each([
    ['IPv4', TWO, MAIN, CLIENT, 28],
    ['IPv6', V6, { address: '2001:db8::1', port: 3478 }, { address: '2001:db8::9', port: 1 }, 48],
  ])('over %s no reply is three times its request on the wire', (_, layout, own, client, headers) => {
    for (const id of [MODERN, CLASSIC]) {
      for (const change of [undefined, { ip: false, port: false }, { ip: true, port: true }]) {
        const asked: StunMessage = { kind: 'request', id, ...(change && { change }) };
        const reply = answerBinding({ ...asked, notUnderstood: [] }, client, own, layout);
        const out = headers + (reply ? encodeStun(reply.message).length : 0);
        expect(out / (headers + encodeStun(asked).length)).toBeLessThan(2.8);
      }
    }
  });
});
