import { describe, expect, test } from 'vitest';
import {
  canonicalAddress,
  canonicalEndpoint,
  isAllowedTarget,
  whyRefused,
} from '../../../src/punch/address-filter.js';

const at = (address: string, port = 40_000) => ({ address, port });

describe('canonical spelling', () => {
  test.each([
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:0201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:7f00:1', '127.0.0.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:db8::192.0.2.33', '2001:db8::c000:221'],
    ['1.2.3.4', '1.2.3.4'],
  ])('%s is %s', (text, canonical) => {
    expect(canonicalAddress(text)).toBe(canonical);
  });

  test.each(['', 'localhost', '1.2.3', '1.2.3.4.5', '0x7f.1', '127.1', 'fe80::1%eth0', '::1::', '1.2.3.256'])(
    '%j is no address',
    (text) => {
      expect(canonicalAddress(text)).toBeUndefined();
      expect(isAllowedTarget(at(text), { allowPrivate: true, allowLoopback: true })).toBe(false);
    },
  );

  test('ports that are none are no endpoint', () => {
    for (const port of [-1, 65_536, 1.5, Number.NaN])
      expect(canonicalEndpoint(at('1.2.3.4', port))).toBeUndefined();
  });
});

const PUBLIC = [
  '1.1.1.1',
  '9.255.255.255',
  '11.0.0.0',
  '100.63.255.255',
  '100.128.0.0',
  '126.255.255.255',
  '128.0.0.1',
  '172.15.255.255',
  '172.32.0.0',
  '192.167.255.255',
  '192.169.0.0',
  '223.255.255.255',
  '192.0.2.10',
  '198.51.100.10',
  '203.0.113.10',
  '2001:db8::1',
  '2a00:1450::1',
  '2001:470::1',
  '::ffff:203.0.113.10',
  '64:ff9b::203.0.113.10',
  '2002:cb00:710a::1',
];

const NEVER = [
  '0.0.0.0',
  '0.1.2.3',
  '169.254.169.254',
  '169.254.0.1',
  '224.0.0.1',
  '239.255.255.250',
  '240.0.0.1',
  '255.255.255.255',
  '192.0.0.9',
  '192.88.99.1',
  '::',
  'fe80::1',
  'febf::1',
  'fec0::1',
  'ff02::1',
  '100::1',
  '2001::1',
  '2001:1::1',
  '64:ff9b:1::a00:1',
  '::ffff:169.254.169.254',
  '::ffff:255.255.255.255',
  '::192.168.1.1',
  '::203.0.113.10',
  '::ffff:0:203.0.113.10',
  '64:ff9b::10.0.0.1',
  '64:ff9b::127.0.0.1',
  '64:ff9b::169.254.169.254',
  '2002:7f00:1::1',
  '2002:c0a8:101::1',
  '4000::1',
];

const PRIVATE = [
  '10.0.0.1',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '100.64.0.1',
  '100.127.255.255',
  '198.18.0.1',
  'fd00::1',
  'fc00::1',
  '::ffff:10.0.0.1',
];

const LOOPBACK = ['127.0.0.1', '127.255.255.255', '::1', '::ffff:127.0.0.1'];
const ALL = { allowPrivate: true, allowLoopback: true };

describe('where datagrams may go', () => {
  test.each(PUBLIC)('%s is public', (address) => {
    expect(whyRefused(at(address))).toBeUndefined();
  });

  test.each(NEVER)('%s is refused whatever is allowed', (address) => {
    expect(isAllowedTarget(at(address), ALL)).toBe(false);
  });

  test.each(PRIVATE)('%s needs allowPrivate', (address) => {
    expect(isAllowedTarget(at(address), { allowLoopback: true })).toBe(false);
    expect(isAllowedTarget(at(address), { allowPrivate: true })).toBe(true);
  });

  test.each(LOOPBACK)('%s needs allowLoopback', (address) => {
    expect(isAllowedTarget(at(address), { allowPrivate: true })).toBe(false);
    expect(isAllowedTarget(at(address), { allowLoopback: true })).toBe(true);
  });

  test('ports under 1024 are refused even where private addresses are allowed', () => {
    for (const port of [0, 1, 53, 1023])
      expect(whyRefused(at('192.168.1.1', port), ALL)).toBe('a port under 1024');
    expect(isAllowedTarget(at('192.168.1.1', 1024), ALL)).toBe(true);
    expect(isAllowedTarget(at('203.0.113.1', 65_535))).toBe(true);
  });
});
