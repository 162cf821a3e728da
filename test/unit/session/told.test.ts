import { afterEach, describe, expect, test } from 'vitest';
import { silentLogger } from '../../../src/log.js';
import { PLEXUS_SOCKETS } from '../../../src/punch/limits.js';
import type { Opened } from '../../../src/rendezvous/sealing.js';
import { isPlexus, placeOf } from '../../../src/session/exchange.js';
import { type NamingParts, nameFor, windTo } from '../../../src/session/told.js';
import type { Candidate } from '../../../src/wire/extension.js';
import { type NatReport, UNMEASURED } from '../../../src/wire/nat-report.js';
import { FakeStunServer, success } from '../../support/stun-fake.js';

const APD = 'address-and-port-dependent';
const RANDOM: NatReport = { ...UNMEASURED, nat: 'yes', mapping: APD, filtering: APD };
const COUNTING: NatReport = { ...RANDOM, portStep: 2 };
const ADDRESS = '127.0.0.1';
const OUTER = { address: ADDRESS, port: 30_000 };
const MAPPED = { address: ADDRESS, port: 50_000 };
let server: FakeStunServer | undefined;
/** The last port that was given out. */
let counter = 0;

afterEach(() => server?.close());

/** A STUN server that sees each new socket two ports further: what a NAT that counts would do. */
async function counted(role: 'invite' | 'accept', report: NatReport, start = 40_000): Promise<NamingParts> {
  counter = start;
  const ports = new Map<number, number>();
  const fake = await FakeStunServer.start((request, from) => {
    if (!ports.has(from.port)) {
      counter += 2;
      ports.set(from.port, counter);
    }
    return [success(request, { address: ADDRESS, port: ports.get(from.port) ?? 0 })];
  });
  server = fake;
  const { signal } = new AbortController();
  const parts = { role, report, outer: OUTER, server: fake.endpoint, bindAddress: ADDRESS };
  return { ...parts, log: silentLogger, signal };
}

test('an acceptor names the port that the last of its sockets will get', async () => {
  const parts = await counted('accept', COUNTING);
  const named = await nameFor(parts);
  expect(named).toEqual({
    told: 'predicted',
    endpoint: { address: ADDRESS, port: counter + 2 * PLEXUS_SOCKETS },
  });
});

test('a forwarded port goes before, but only toward a peer who sends first, and not that of a router behind a NAT', async () => {
  const parts = await counted('accept', RANDOM);
  expect(await nameFor({ ...parts, mapped: MAPPED })).toEqual({ told: 'mapped', endpoint: MAPPED });
  const inside = { address: '100.64.0.7', port: 50_000 };
  for (const named of [
    await nameFor({ ...parts, mapped: inside }),
    await nameFor({ ...parts, role: 'invite', mapped: MAPPED }),
    await nameFor(parts),
    await nameFor({ ...parts, report: UNMEASURED, mapped: MAPPED }),
  ]) {
    expect(named).toEqual({ told: 'reflexive', endpoint: OUTER });
  }
  expect(server?.requests).toEqual([]);
});

test.each([0, 20, 55])(
  'an inviter uses up what is left before its port when others took %i',
  async (others) => {
    const parts = await counted('invite', COUNTING);
    const named = await nameFor(parts);
    expect(named.endpoint.port - counter).toBe(2 * 64);
    counter += 2 * others;
    await windTo(named, parts);
    const left = (named.endpoint.port - counter) / 2;
    expect(left).toBeGreaterThanOrEqual(1);
    expect(left).toBeLessThanOrEqual(PLEXUS_SOCKETS);
  },
);

test('a counter begins anew at the lower end', async () => {
  const parts = await counted('invite', COUNTING, 65_500);
  const named = await nameFor(parts);
  expect(named.endpoint.port).toBe(1_024 + (65_502 + 128 - 65_536));
  counter = 1_024 + 60;
  await windTo(named, parts);
});

test('a port that others got meanwhile is an error that says so', async () => {
  const parts = await counted('invite', COUNTING);
  const named = await nameFor(parts);
  counter += 2 * 70;
  await expect(windTo(named, parts)).rejects.toMatchObject({
    code: 'NAT_IMPOSSIBLE',
    message: expect.stringContaining('to somebody else meanwhile'),
    hint: expect.stringContaining('invite again'),
  });
});

describe('a reference that names a port to come', () => {
  const reference = { endpoint: { address: ADDRESS, port: 40_064 }, puzzle: 1n };
  const seen = { type: 'srflx', endpoint: { address: ADDRESS, port: 40_000 } } as const;
  const foretold = { type: 'predicted', endpoint: reference.endpoint } as const;
  const letter = (...cand: Candidate[]): Opened => ({
    reference,
    digest: '',
    extension: { v: 1, kind: 'invite', app: 'test', to: '', exp: 0, cand, caps: [] },
  });

  test('is read as where STUN saw the sender, if the extension says so', () => {
    expect(placeOf(letter(seen, foretold))).toEqual(seen.endpoint);
    expect(placeOf(letter(seen))).toEqual(reference.endpoint);
    expect(placeOf(letter(foretold))).toEqual(reference.endpoint);
    expect(placeOf({ reference, digest: '' })).toEqual(reference.endpoint);
  });

  test('leads to no other address than the one that the reference names', () => {
    const elsewhere = { type: 'srflx', endpoint: { address: '192.0.2.1', port: 40_000 } } as const;
    expect(placeOf(letter(elsewhere, foretold))).toEqual(reference.endpoint);
  });
});

test('a plexus is who seals and has no extension; in clear nobody has one', () => {
  const opened: Opened = { reference: { endpoint: OUTER, puzzle: 1n }, digest: '' };
  expect(isPlexus(opened, { form: 'smime' })).toBe(true);
  expect(isPlexus(opened, { form: 'opendht' })).toBe(true);
  expect(isPlexus(opened, { form: 'plain' })).toBe(false);
});
