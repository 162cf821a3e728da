import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  alienOf,
  type Contract,
  canSyncByUdp,
  negotiate,
  type Side,
  sideOf,
  syncTime,
  whyNoContract,
} from '../../../src/punch/contract.js';
import { ASSUMED_NAT, decodePlexusNat, NO_NAT, type PlexusNat } from '../../../src/wire/plexus-nat.js';
import { decodeReference } from '../../../src/wire/reference.js';
import { type Hole, parseQos, QOS_ROLES } from '../../../src/wire/reference-terms.js';

const nat = (text: string): PlexusNat => decodePlexusNat(text) ?? expect.unreachable(text);
const PORT_RESTRICTED = nat('10000011');
const FULL_CONE = nat('10000000');
const SYMMETRIC = nat('10101111');
const PUBLIC = nat('01000000');

function hole(address: string, kind: PlexusNat, more: Partial<Hole> = {}): Hole {
  return { endpoint: { address, port: 4000 }, nat: kind, route: 'direct', ...more };
}

function side(address: string, qos: string, kind = PORT_RESTRICTED, tcp = kind): Side {
  return {
    udp: hole(address, kind),
    tcp: hole(address, tcp),
    qos: parseQos(qos) ?? expect.unreachable(qos),
  };
}

const HERE = '203.0.113.20';
const THERE = '198.51.100.10';
const agree = (accept: Side, invite: Side) => {
  const found = negotiate(accept, invite);
  return found && `${found.transport} ${found.accept}/${found.invite}`;
};

function captured(file: string) {
  const url = new URL(`../../fixtures/plexus/dht/values-${file}.json`, import.meta.url);
  const { values } = JSON.parse(readFileSync(url, 'utf8')) as { values: { text: string }[] };
  const [invite, accept] = values.map(({ text }) => sideOf(decodeReference(text)));
  return { invite: invite as Side, accept: accept as Side };
}

describe('what the captured sessions of the real plexus agreed on', () => {
  test.each<[string, Contract | undefined]>([
    ['v341-invite_v314-accept', { transport: 'udp', accept: 'server', invite: 'client' }],
    ['v341-tcp-3.3', { transport: 'tcp', accept: 'server', invite: 'client' }],
    ['v341-tcp-mutual-no-udp-3.3', { transport: 'tcp', accept: 'mutual', invite: 'mutual' }],
    ['v341-udp-mutual-3.3', { transport: 'udp', accept: 'mutual', invite: 'mutual' }],
    ['v341-relay-3.4', undefined],
  ])('%s', (file, contract) => {
    const { accept, invite } = captured(file);
    expect(negotiate(accept, invite)).toEqual(contract);
  });

  test('only the sessions with UDP endpoints met by datagrams', () => {
    const udp = captured('v341-tcp-3.3');
    expect(canSyncByUdp(udp.accept, udp.invite)).toBe(true);
    const none = captured('v341-tcp-mutual-no-udp-3.3');
    expect(canSyncByUdp(none.accept, none.invite)).toBe(false);
  });

  test('a relay that one side insists on is named as the reason', () => {
    const { accept, invite } = captured('v341-relay-3.4');
    expect(whyNoContract(accept, invite)).toMatch(/relay/);
  });
});

test('any:either behind two port-restricted NATs is udp server/client, as the real one does', () => {
  expect(agree(side(HERE, 'any:either'), side(THERE, 'any:either'))).toBe('udp server/client');
});

test('a host that strangers reach serves tcp of its own accord, one behind a NAT only when told to', () => {
  expect(agree(side(HERE, 'tcp:either', PUBLIC), side(THERE, 'tcp:either'))).toBe('tcp server/client');
  expect(agree(side(HERE, 'tcp:either'), side(THERE, 'tcp:either', FULL_CONE))).toBe('tcp client/server');
  expect(agree(side(HERE, 'tcp:either'), side(THERE, 'tcp:either'))).toBe('tcp mutual/mutual');
  expect(agree(side(HERE, 'tcp:server'), side(THERE, 'tcp:either'))).toBe('tcp server/client');
});

test('of all protocols ssl comes first, and udp before tcp where both sides must knock', () => {
  expect(agree(side(HERE, 'any:either', PUBLIC), side(THERE, 'any:client'))).toBe('ssl server/client');
  expect(agree(side(HERE, 'any:mutual'), side(THERE, 'any:mutual'))).toBe('udp mutual/mutual');
});

test('who maps by destination can only be the client of one that takes strangers', () => {
  const symmetric = (role: string) => side(THERE, `udp:${role}`, SYMMETRIC);
  expect(agree(side(HERE, 'udp:either', FULL_CONE), symmetric('either'))).toBe('udp server/client');
  expect(agree(side(HERE, 'udp:either'), symmetric('either'))).toBeUndefined();
  expect(agree(side(HERE, 'udp:either', FULL_CONE), symmetric('server'))).toBeUndefined();
  expect(agree(side(HERE, 'udp:either', SYMMETRIC), symmetric('either'))).toBeUndefined();
});

test('two sides behind one address need both hairpins', () => {
  const with0 = side(HERE, 'udp:either');
  const with1 = side(HERE, 'udp:either', { ...PORT_RESTRICTED, hairpin: true });
  expect(agree(with1, with0)).toBeUndefined();
  expect(agree(with1, with1)).toBe('udp server/client');
});

test('what does not meet is said in words that name both wishes', () => {
  const own = side(HERE, 'udp:either');
  expect(whyNoContract(own, side(THERE, 'tcp:client'))).toMatch(/udp:either.*tcp:client.*no protocol/);
  expect(whyNoContract(side(HERE, 'udp:client'), side(THERE, 'udp:client'))).toMatch(/roles do not fit/);
  expect(whyNoContract(side(HERE, 'udp:mutual'), side(THERE, 'udp:server'))).toMatch(/roles do not fit/);
  const silent = { ...side(THERE, 'tcp:client'), tcp: { nat: NO_NAT, route: 'direct' } as const };
  expect(whyNoContract(side(HERE, 'tcp:server'), silent)).toMatch(/peer has no TCP endpoint/);
  expect(whyNoContract(silent, side(HERE, 'tcp:server'))).toMatch(/gave us no TCP endpoint/);
  expect(whyNoContract(own, side(THERE, 'udp:either', SYMMETRIC))).toMatch(/NATs/);
});

test('whatever roles two sides ask for, both compute one answer that keeps what each asked', () => {
  for (const accept of QOS_ROLES) {
    for (const invite of QOS_ROLES) {
      const found = negotiate(side(HERE, `tcp:${accept}`, PUBLIC), side(THERE, `tcp:${invite}`, FULL_CONE));
      if (!found) continue;
      for (const [role, asked] of [
        [found.accept, accept],
        [found.invite, invite],
      ]) {
        expect([role, 'either']).toContain(asked);
      }
      expect([found.accept, found.invite].sort()).toSatisfy(
        (pair: string[]) => pair.join() === 'client,server' || pair.join() === 'mutual,mutual',
      );
    }
  }
});

test('a 3.0 text is read as plexus 3.4 reads it', () => {
  const found = sideOf(decodeReference('PLEXUS 3.0 203.0.113.20 4000 7'));
  expect(found.udp).toEqual(hole(HERE, ASSUMED_NAT));
  expect(found.tcp.endpoint).toBeUndefined();
  expect(agree(found, side(THERE, 'udp:either'))).toBe('udp server/client');
});

test('the payload is told nought where the NAT will show another address or port', () => {
  expect(alienOf(hole(THERE, FULL_CONE))).toEqual({ address: THERE, port: 4000 });
  expect(alienOf(hole(THERE, SYMMETRIC))).toEqual({ address: THERE, port: 0 });
  expect(alienOf(hole(THERE, { ...FULL_CONE, variableAddress: true }))).toEqual({
    address: '0.0.0.0',
    port: 4000,
  });
  expect(alienOf({ nat: NO_NAT, route: 'direct' })).toBeUndefined();
});

test('without datagrams both start 20 s after the later message, clients a second later, and no clock delays more', () => {
  const second = 1_000_000;
  expect(syncTime([100 * second, 103 * second], 105 * second, 'server')).toBe(123 * second);
  expect(syncTime([100 * second, 103 * second], 105 * second, 'client')).toBe(124 * second);
  expect(syncTime([100 * second, 9_000 * second], 105 * second, 'mutual')).toBe(125 * second);
});
