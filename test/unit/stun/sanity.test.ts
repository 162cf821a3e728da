import { describe, expect, test } from 'vitest';
import {
  type AddressClass,
  classOf,
  isPlausibleAlternate,
  isPlausibleMapped,
} from '../../../src/stun/sanity.js';

const at = (address: string, port = 4000) => ({ address, port });
const NONE = () => [];

describe('classes of addresses', () => {
  test.each<[string, AddressClass]>([
    ['8.8.8.8', 'public'],
    ['192.0.2.1', 'public'],
    ['10.1.2.3', 'private'],
    ['172.31.0.1', 'private'],
    ['172.32.0.1', 'public'],
    ['192.168.0.1', 'private'],
    ['100.64.0.1', 'private'],
    ['127.9.9.9', 'loopback'],
    ['169.254.169.254', 'link-local'],
    ['0.0.0.0', 'unusable'],
    ['224.0.0.251', 'unusable'],
    ['255.255.255.255', 'unusable'],
    ['::', 'unusable'],
    ['::1', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:10.0.0.1', 'private'],
    ['fe80::1%eth0', 'link-local'],
    ['fd00::1', 'private'],
    ['ff02::1', 'unusable'],
    ['2001:db8::1', 'public'],
    ['example.org', 'unusable'],
  ])('%s is %s', (address, kind) => {
    expect(classOf(address)).toBe(kind);
  });
});

describe('what a server may say that we are', () => {
  const server = at('203.0.113.5', 3478);
  test.each([
    ['a public endpoint', at('198.51.100.10'), true],
    ['port 0', at('198.51.100.10', 0), false],
    ['nowhere', at('0.0.0.0'), false],
    ['a multicast group', at('239.1.1.1'), false],
    ['our own loopback services', at('127.0.0.1', 53), false],
    ['a neighbour in a private network', at('192.168.1.1', 80), false],
    ['the cloud metadata service', at('169.254.169.254', 80), false],
    ['an address of the other family', at('2001:db8::1'), false],
  ])('a server on the internet that names %s', (_, mapped, believed) => {
    expect(isPlausibleMapped(mapped, server, NONE)).toBe(believed);
  });

  test('a private address is believed if it is ours, or the server is in a private network too', () => {
    expect(isPlausibleMapped(at('10.0.0.7'), server, () => ['10.0.0.7'])).toBe(true);
    expect(isPlausibleMapped(at('10.0.0.7'), at('192.168.0.1'), NONE)).toBe(true);
  });
});

describe('where a server may send our tests', () => {
  const server = at('203.0.113.5', 3478);
  test.each([
    ['its neighbour', at('203.0.113.6', 3479), true],
    ['itself', server, false],
    ['a name server', at('203.0.113.6', 53), false],
    ['a private network', at('10.0.0.1', 3479), false],
    ['nowhere', at('0.0.0.0', 3479), false],
  ])('%s', (_, alternate, believed) => {
    expect(isPlausibleAlternate(alternate, server)).toBe(believed);
  });

  test('low ports are fine where the server itself uses one', () => {
    expect(isPlausibleAlternate(at('203.0.113.6', 443), at('203.0.113.5', 80))).toBe(true);
  });
});
