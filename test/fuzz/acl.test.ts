import { isIP } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type AclParty, judge, parseAcl, parseRule } from '../../src/wire/acl.js';
import { aliasesOf, normaliseHost } from '../../src/wire/acl-address.js';

const part = fc.oneof(
  fc.constantFrom('*', 'tcp', 'udp', '127.0.0.1', '10.0.0.0/8', '[::1]', '', '22', '1-2', 'a', '/', '::'),
  fc.string({ unit: 'binary', maxLength: 12 }),
);
const text = fc
  .array(fc.tuple(part, fc.constantFrom(':', ',', '')), { maxLength: 10 })
  .map((all) => all.map(([word, mark]) => word + mark).join(''));
const host = fc.oneof(part, fc.ipV4(), fc.ipV6(), fc.ipV4Extended(), fc.domain());
const who: AclParty = { id: 'a', network: 'tcp', host: '*', port: 0 };

test('no text makes a rule that throws anything but a RangeError, or a verdict that is none', () => {
  fc.assert(
    fc.property(
      text,
      host,
      fc.nat(70_000),
      fc.constantFrom('strict', 'meepo'),
      (rule, name, port, grammar) => {
        let acl: ReturnType<typeof parseAcl>;
        try {
          acl = parseAcl({ allows: [rule], blocks: [] }, grammar as 'strict' | 'meepo');
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
          return;
        }
        const there = { id: 'b', network: 'tcp', host: name, port };
        for (const literal of [true, false]) {
          expect(['allowed', 'unlisted']).toContain(judge(acl, who, there, { literal }));
        }
      },
    ),
    { numRuns: 3_000 },
  );
});

test('every rule of the strict grammar is one of the Meepo grammar too, but for brackets and ranges', () => {
  fc.assert(
    fc.property(text, (rule) => {
      try {
        parseRule(rule);
      } catch {
        return;
      }
      expect(() => parseRule(rule, 'meepo')).not.toThrow();
    }),
    { numRuns: 2_000 },
  );
});

test('normalising twice is normalising once, and addresses stay addresses', () => {
  fc.assert(
    fc.property(host, (name) => {
      const once = normaliseHost(name);
      expect(normaliseHost(once)).toBe(once);
      if (isIP(name) !== 0) expect(isIP(once)).not.toBe(0);
      expect(aliasesOf(name)[0]).toBe(once);
    }),
    { numRuns: 3_000 },
  );
});

test('what one address blocks is blocked in every spelling of it', () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.integer({ min: 0, max: 3 }), (address, form) => {
      const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
      const spellings = [
        `::ffff:${address}`,
        `0x${a.toString(16)}.0${b.toString(8)}.${c * 256 + d}`,
        String(((a * 256 + b) * 256 + c) * 256 + d),
        `${address}.`,
      ];
      const acl = parseAcl({ allows: ['*'], blocks: [`${address}:*`] });
      const there = { id: 'b', network: 'tcp', host: spellings[form] ?? address, port: 1 };
      expect(judge(acl, who, there)).toBe('blocked');
    }),
    { numRuns: 1_500 },
  );
});
