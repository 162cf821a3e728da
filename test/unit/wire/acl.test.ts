import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type AclParty, judge, parseAcl, parseRule, splitAddress } from '../../../src/wire/acl.js';

interface Vector {
  readonly Allows: readonly string[];
  readonly Blocks: readonly string[];
  readonly Src: string;
  readonly Dst: string;
  readonly Result: string;
}

const VECTORS = readFileSync(new URL('../../fixtures/meepo/acl-vectors.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line): Vector => JSON.parse(line));

function party(text: string): AclParty {
  const [id = '', network = '', address = ''] = text.split('|');
  const { host, port } = splitAddress(address) ?? { host: '', port: '' };
  return { id, network, host, port };
}

/** What the real Meepo says: one answer for "blocked" and "unlisted". */
function asMeepo({ Allows, Blocks, Src, Dst }: Vector, literal: boolean): string {
  try {
    const acl = parseAcl({ allows: Allows, blocks: Blocks }, 'meepo');
    return judge(acl, party(Src), party(Dst), { literal }) === 'allowed' ? 'allowed' : 'acl: not allowed';
  } catch (error) {
    expect(error).toBeInstanceOf(RangeError);
    return 'invalid acl policy string';
  }
}

test('there are 47 verdicts of the real Meepo to compare with', () => {
  expect(VECTORS).toHaveLength(47);
});

test.each(VECTORS)('the real Meepo says $Result: $Allows / $Blocks, $Dst', (vector) => {
  expect(asMeepo(vector, true)).toBe(vector.Result);
});

test('with destinations normalised only its bypasses and its deafness for ":8080" change', () => {
  const changed = VECTORS.filter((vector) => asMeepo(vector, false) !== vector.Result);
  expect(changed.map(({ Dst, Result }) => `${Dst} ${Result}`)).toEqual([
    'bob|tcp|:22 allowed',
    'bob|tcp|[::1]:22 allowed',
    'bob|tcp|0.0.0.0:22 allowed',
    'bob|tcp|:8080 acl: not allowed',
    'bob|tcp|:80 allowed',
  ]);
});

const ALICE: AclParty = { id: 'alice@px/a', network: 'tcp', host: '*', port: '*' };
const to = (host: string, port = 22, network = 'tcp'): AclParty => ({ id: 'bob', network, host, port });
const strict = (allows: string[], blocks: string[] = []) => parseAcl({ allows, blocks });

test('nothing is allowed by default', () => {
  expect(judge(strict([]), ALICE, to('127.0.0.1'))).toBe('unlisted');
  expect(judge(strict([], ['10.0.0.1:22']), ALICE, to('127.0.0.1'))).toBe('unlisted');
});

const DISGUISES = [
  '127.0.0.1',
  '',
  '0.0.0.0',
  '::',
  '[::1]',
  '::1',
  '0:0:0:0:0:0:0:1',
  '::ffff:127.0.0.1',
  '::FFFF:7f00:1',
  '::127.0.0.1',
  '64:ff9b::7f00:1',
  '2002:7f00:1::',
  '127.0.0.1.',
  '127.1',
  '127.0.1',
  '0x7f.0.0.1',
  '0x7F000001',
  '2130706433',
  '017700000001',
  '0177.0.0.01',
  '127.8.9.10',
  '0',
  '0x0',
  '::1%lo',
  ' 127.0.0.1 ',
];

test.each(DISGUISES)('a block of 127.0.0.1 closes %j', (host) => {
  expect(judge(strict(['*'], ['127.0.0.1:22']), ALICE, to(host))).toBe('blocked');
  expect(judge(strict(['*'], ['[::1]:22']), ALICE, to(host))).toBe('blocked');
  expect(judge(strict(['*'], ['127.0.0.1:22']), ALICE, to(host, 23))).toBe('allowed');
});

test('a block of the loopback closes the addresses of the machine itself, and no others', () => {
  const acl = strict(['*'], ['127.0.0.0/8:*']);
  const own = ['192.0.2.7', '2001:db8::7'];
  for (const host of [...own, '::ffff:192.0.2.7', '3221225991', '2001:DB8:0::7']) {
    expect(judge(acl, ALICE, to(host), { own }), host).toBe('blocked');
  }
  expect(judge(acl, ALICE, to('192.0.2.8'), { own })).toBe('allowed');
});

test('an allow opens the place that it names and nothing that only may be the same', () => {
  const acl = strict(['127.0.0.1:80', '10.0.0.0/8:*', '[2001:db8::/32]:443']);
  const verdicts = ['127.0.0.1', '::1', '127.0.0.2', '::ffff:7f00:1', '64:ff9b::7f00:1', '0.0.0.0'].map((h) =>
    judge(acl, ALICE, to(h, 80)),
  );
  expect(verdicts).toEqual(['allowed', 'unlisted', 'unlisted', 'allowed', 'unlisted', 'allowed']);
  expect(judge(acl, ALICE, to('10.255.0.1'))).toBe('allowed');
  expect(judge(acl, ALICE, to('11.0.0.1'))).toBe('unlisted');
  expect(judge(acl, ALICE, to('2001:db8:1::5', 443))).toBe('allowed');
  expect(judge(acl, ALICE, to('2001:db9::5', 443))).toBe('unlisted');
});

test.each([
  ['udp:*:53', to('9.9.9.9', 53, 'udp'), 'allowed'],
  ['udp:*:53', to('9.9.9.9', 53), 'unlisted'],
  ['*:8000-8010', to('9.9.9.9', 8010), 'allowed'],
  ['*:8000-8010', to('9.9.9.9', 8011), 'unlisted'],
  ['alice@px/a:*:*:*,*:22', to('9.9.9.9'), 'allowed'],
  ['eve@px/e:*:*:*,*:22', to('9.9.9.9'), 'unlisted'],
  ['bob:tcp:[::1]:22', to('::1'), 'allowed'],
  ['192.168.1.77/24:*', to('192.168.1.3'), 'allowed'],
] as const)('%s: %j is %s', (rule, destination, verdict) => {
  expect(judge(strict([rule]), ALICE, destination)).toBe(verdict);
});

test.each([
  '',
  ' ',
  'a',
  '*,',
  ',*',
  '*,*,*',
  '127.0.0.1',
  '127.0.0.1:',
  ':80',
  '10.0.0.0/33:*',
  '10.0.0/8:*',
  '::1:22',
  '[::1]',
  '[127.0.0.1]:22',
  'localhost:80',
  'sctp:*:*',
  'TCP:*:*',
  ' 127.0.0.1:80',
  '127.0.0.1:80-',
  '127.0.0.1:90-80',
  '127.0.0.1:0',
  '127.0.0.1:65536',
  '127.0.0.1:http',
  'a:b:c:d:e',
  `*:${'1'.repeat(600)}`,
])('%j could never match, and is refused instead of doing nothing', (text) => {
  expect(() => parseRule(text)).toThrow(RangeError);
});
