import { describe, expect, test } from 'vitest';
import { usableCandidates, type Vicinity } from '../../../src/punch/neighbours.js';
import { parseEndpoint } from '../../../src/util/endpoint.js';
import type { Candidate, CandidateType } from '../../../src/wire/extension.js';

function candidate(text: string, type: CandidateType = 'host'): Candidate {
  const endpoint = parseEndpoint(text);
  if (!endpoint) throw new Error(`no endpoint: ${text}`);
  return { type, endpoint };
}

const OUTER = { address: '198.51.100.10', port: 40_000 };
const ELSEWHERE = { address: '203.0.113.10', port: 40_000 };
const own = [candidate('192.168.10.2:5000'), candidate('[fd00:1:2:3::5]:5000')];

function usable(vicinity: Partial<Vicinity>, ...list: Candidate[]): number {
  return usableCandidates(list, { own, ownOuter: OUTER, peerOuter: ELSEWHERE, ...vicinity }, {}).length;
}

describe('a private host candidate of a verified message', () => {
  test('counts behind the same public address, also in another network there', () => {
    expect(usable({ peerOuter: { ...OUTER, port: 1 } }, candidate('192.168.77.9:5000'))).toBe(1);
  });

  test('counts in a network that we are in', () => {
    expect(usable({}, candidate('192.168.10.77:5000'), candidate('[fd00:1:2:3::9]:5000'))).toBe(2);
  });

  test('is no target anywhere else: that would be somebody else’s machine', () => {
    const strangers = ['192.168.11.77:5000', '10.0.0.1:5000', '100.64.10.2:5000', '[fd00:1:2:4::9]:5000'];
    expect(usable({}, ...strangers.map((text) => candidate(text)))).toBe(0);
  });

  test('is none under another name: only a host has a private address', () => {
    for (const type of ['srflx', 'mapped', 'predicted', 'relay'] as const) {
      expect(usable({ peerOuter: OUTER }, candidate('192.168.10.3:5000', type))).toBe(0);
    }
  });
});

test('special ranges and low ports are never targets, in whatever company', () => {
  const list = [
    ...['127.0.0.1:5000', '169.254.169.254:5000', '224.0.0.1:5000', '255.255.255.255:5000', '0.0.0.0:5000'],
    ...['192.168.10.1:80', '192.168.10.1:1023', '[::1]:5000', '[fe80::1]:5000', '[::ffff:127.0.0.1]:5000'],
  ];
  expect(usable({ peerOuter: OUTER }, ...list.map((text) => candidate(text)))).toBe(0);
});

test('public candidates count, canonical', () => {
  const [one] = usableCandidates(
    [candidate('[2001:0db8:0:0::0002]:5000', 'srflx')],
    { own, peerOuter: ELSEWHERE },
    {},
  );
  expect(one?.endpoint.address).toBe('2001:db8::2');
});
