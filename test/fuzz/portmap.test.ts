import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { defaultGateway } from '../../src/stun/portmap/gateway.js';
import { routerUrl } from '../../src/stun/portmap/http.js';
import { bytesToAddress } from '../../src/util/ip-bytes.js';
import { decodeNatPmp, encodeNatPmpMap } from '../../src/wire/nat-pmp.js';
import { decodePcp, encodePcpMap } from '../../src/wire/pcp.js';
import { decodeSearchAnswer, readDescription, readErrorCode, readValue } from '../../src/wire/upnp.js';

const octets = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const port = fc.integer({ min: 0, max: 65_535 });
const seconds = fc.integer({ min: 0, max: 0xffffffff });
const address = fc.oneof(octets(4), octets(16)).map(bytesToAddress);
const RUNS = { numRuns: 1000 };

describe('PCP', () => {
  test('whatever is asked for comes back from a router that grants it', () => {
    const wanted = fc.record({
      client: address,
      external: address,
      nonce: octets(12),
      port,
      lifetime: seconds,
    });
    fc.assert(
      fc.property(wanted, port, ({ client, external, nonce, port: internalPort, lifetime }, outside) => {
        const suggested = { address: external, port: outside };
        const id = Buffer.from(nonce);
        const bytes = encodePcpMap({ client, nonce: id, internalPort, suggested, lifetime });
        expect(bytes).toHaveLength(60);
        expect(decodePcp(bytes)).toBeUndefined();
        // The same octets are the answer of a router that gives all: only the R bit and the result differ.
        bytes[1] = (bytes[1] ?? 0) | 0x80;
        const answer = decodePcp(bytes);
        expect(answer).toMatchObject({ opcode: 'map', result: 0, lifetime });
        expect(answer?.map?.nonce).toEqual(id);
        expect(answer?.map?.internalPort).toBe(internalPort);
        // ::ffff:1.2.3.4 and 1.2.3.4 are one address.
        if (!external.startsWith('::ffff:')) expect(answer?.map?.external).toEqual(suggested);
      }),
      RUNS,
    );
  });

  test('no datagram makes the reader throw', () => {
    const head = fc.constantFrom([2, 0x80], [2, 0x81], [0, 0x81]).map((bytes) => Uint8Array.from(bytes));
    const noise = fc.tuple(head, fc.uint8Array({ maxLength: 1200 })).map(([a, b]) => Buffer.concat([a, b]));
    fc.assert(
      fc.property(fc.oneof(noise, fc.uint8Array({ maxLength: 1200 })), (data) => {
        const answer = decodePcp(data);
        if (answer) expect(data.length % 4).toBe(0);
        decodeNatPmp(data);
      }),
      RUNS,
    );
  });
});

test('NAT-PMP: a granted mapping is read as it was written', () => {
  fc.assert(
    fc.property(port, port, seconds, seconds, (internalPort, externalPort, lifetime, epoch) => {
      const request = encodeNatPmpMap(internalPort, externalPort, lifetime);
      expect(request).toHaveLength(12);
      expect(decodeNatPmp(request)).toBeUndefined();
      const clock = Buffer.alloc(4);
      clock.writeUInt32BE(epoch);
      const answer = Buffer.concat([Buffer.from([0, 0x81, 0, 0]), clock, request.subarray(4)]);
      expect(decodeNatPmp(answer)).toEqual({ kind: 'map', result: 0, internalPort, externalPort, lifetime });
    }),
    RUNS,
  );
});

describe('what a router writes about itself', () => {
  const tags = fc.constantFrom(
    ...[
      '<service>',
      '</service>',
      '<serviceType>',
      '</serviceType>',
      '<controlURL>',
      '</controlURL>',
      '&amp;',
      '&',
      '<',
    ],
    ...[
      'urn:schemas-upnp-org:service:WANIPConnection:1',
      '/ctl',
      '<friendlyName>',
      '</friendlyName>',
      '\u0000',
      '\u001b[31m',
    ],
  );
  const soup = fc
    .array(fc.oneof(tags, fc.string({ maxLength: 20 })), { maxLength: 60 })
    .map((all) => all.join(''));

  test('any text is read in one pass, and its name is printable', () => {
    fc.assert(
      fc.property(soup, (text) => {
        const { name, services } = readDescription(text);
        if (name !== undefined) expect(name).toMatch(/^[\x20-\x7e]{1,64}$/);
        expect(services.length).toBeLessThanOrEqual(64);
        readErrorCode(text);
        readValue(text, 'NewExternalIPAddress');
        decodeSearchAnswer(Buffer.from(text));
      }),
      RUNS,
    );
  });

  test('64 kB of opening tags cost nothing', () => {
    // The best of a few, as other tests share the processors.
    const took = Array.from({ length: 5 }, () => {
      const begun = performance.now();
      readDescription('<service>'.repeat(7000));
      readDescription(`${'<service></service>'.repeat(3500)}`);
      return performance.now() - begun;
    });
    expect(Math.min(...took)).toBeLessThan(200);
  });

  test('no location leads anywhere but to the gateway', () => {
    const url = fc.oneof(
      fc.webUrl({ withFragments: true, withQueryParameters: true }),
      fc.ipV4().map((ip) => `http://${ip}/x`),
      fc.constantFrom(
        'http://192.168.1.1@evil.example/',
        'http://0300.0250.1.1:99/',
        'file:///etc/passwd',
        '//evil.example/x',
        '',
      ),
      fc.string(),
    );
    fc.assert(
      fc.property(url, (text) => {
        const base = new URL('http://192.168.1.1:5000/root.xml');
        for (const found of [routerUrl(text, '192.168.1.1'), routerUrl(text, '192.168.1.1', base)]) {
          if (!found) continue;
          expect(`${found.protocol}//${found.hostname}`).toBe('http://192.168.1.1');
          expect(found.username + found.password).toBe('');
        }
      }),
      RUNS,
    );
  });
});

test('no routing table makes the gateway anything but an address', () => {
  const word = fc.oneof(
    fc.constantFrom('00000000', '0101A8C0', '0003', 'eth0', '0'),
    fc.string({ maxLength: 9 }),
  );
  const line = fc.array(word, { maxLength: 12 }).map((words) => words.join('\t'));
  fc.assert(
    fc.property(fc.array(line, { maxLength: 6 }), (lines) => {
      const gateway = defaultGateway(lines.join('\n'));
      if (gateway !== undefined) expect(gateway).toMatch(/^(\d{1,3}\.){3}\d{1,3}$/);
    }),
    RUNS,
  );
});
