import type { NetworkInterfaceInfo } from 'node:os';
import { afterEach, describe, expect, test } from 'vitest';
import { silentLogger } from '../../../src/log.js';
import { candidateList, publicOnly } from '../../../src/session/candidate-list.js';
import { Gathering, hostEndpoints } from '../../../src/session/candidates.js';
import { hostAddresses } from '../../../src/stun/host-addresses.js';
import type { PortLease } from '../../../src/stun/portmap/lease.js';
import { StunServer } from '../../../src/stun/server.js';
import type { Endpoint } from '../../../src/util/endpoint.js';
import { UdpSocket } from '../../../src/util/udp.js';
import { UNMEASURED } from '../../../src/wire/nat-report.js';
import { settingsOf } from '../../support/cli.js';

const at = (address: string, port = 4000): Endpoint => ({ address, port });
const OUTER = at('203.0.113.7', 61_000);
const NOTHING = { host: [], srflx: [], mapped: [] };

function nic(address: string, o: { mac?: string; internal?: boolean } = {}): NetworkInterfaceInfo {
  const { mac = '02:00:00:00:00:01', internal = false } = o;
  const rest = { address, netmask: '', mac, internal, cidr: null };
  return address.includes(':') ? { ...rest, family: 'IPv6', scopeid: 0 } : { ...rest, family: 'IPv4' };
}

describe('which own addresses a peer may be told', () => {
  test('the way out comes first; loopback, link-local and tunnels are left out', () => {
    const interfaces = {
      lo: [nic('127.0.0.1', { internal: true })],
      eth1: [nic('10.1.2.3'), nic('fe80::1')],
      eth0: [nic('192.168.1.5'), nic('169.254.1.1')],
      wg0: [nic('10.99.0.1', { mac: '00:00:00:00:00:00' })],
    };
    expect(hostAddresses(interfaces, { v4: '192.168.1.5' }, 4)).toEqual(['192.168.1.5', '10.1.2.3']);
  });

  test('a tunnel that is the way out counts', () => {
    const interfaces = { ppp0: [nic('100.64.3.4', { mac: '00:00:00:00:00:00' })] };
    expect(hostAddresses(interfaces, { v4: '100.64.3.4' }, 4)).toEqual(['100.64.3.4']);
  });

  test('of public IPv6 addresses only that of the way out is told: others live longer than people think', () => {
    const interfaces = { eth0: [nic('2001:db8::abcd'), nic('2001:db8::1'), nic('fd00::1')] };
    expect(hostAddresses(interfaces, { v6: '2001:db8::abcd' }, 6)).toEqual(['2001:db8::abcd', 'fd00::1']);
    expect(hostAddresses(interfaces, {}, 6)).toEqual(['fd00::1']);
  });

  test('a machine with a hundred addresses does not blow up the letter', () => {
    const interfaces = { eth0: Array.from({ length: 100 }, (_, i) => nic(`10.0.0.${i + 1}`)) };
    expect(hostAddresses(interfaces, { v4: '10.0.0.1' }, 4)).toHaveLength(3);
  });
});

describe('the list in a letter', () => {
  test('what the reference says comes first, and each endpoint stands once', () => {
    const list = candidateList(OUTER, {
      host: [at('192.168.1.5'), OUTER],
      mapped: [at('203.0.113.7', 4000)],
      srflx: [OUTER, at('203.0.113.7', 61_002), at('203.0.113.7', 4000)],
    });
    expect(list.map(({ type, endpoint }) => `${type} ${endpoint.address}:${endpoint.port}`)).toEqual([
      'srflx 203.0.113.7:61000',
      'host 192.168.1.5:4000',
      'mapped 203.0.113.7:4000',
      'srflx 203.0.113.7:61002',
    ]);
  });

  test('only the kinds that the user wants are told', () => {
    const gathered = {
      host: [at('192.168.1.5')],
      mapped: [at('203.0.113.7')],
      srflx: [at('203.0.113.7', 7)],
    };
    expect(candidateList(OUTER, gathered, ['mapped'])).toHaveLength(2);
    expect(candidateList(OUTER, gathered, [])).toEqual([{ type: 'srflx', endpoint: OUTER }]);
  });

  test('it is bounded, and port 0 never stands in it', () => {
    const many = Array.from({ length: 40 }, (_, i) => at('203.0.113.9', i));
    const list = candidateList(OUTER, { host: many, srflx: many, mapped: many });
    expect(list).toHaveLength(10);
    expect(list.every(({ endpoint }) => endpoint.port > 0)).toBe(true);
  });

  test('a stranger to our network is not told its addresses', () => {
    const list = candidateList(OUTER, { ...NOTHING, host: [at('192.168.1.5'), at('2001:db8::1')] });
    expect(publicOnly(list).map(({ endpoint }) => endpoint.address)).toEqual(['203.0.113.7', '2001:db8::1']);
  });
});

describe('gathering', () => {
  const open: { close(): Promise<void> }[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((one) => one.close()));
  });
  async function socket(address: string): Promise<UdpSocket> {
    const made = await UdpSocket.bind({ address, port: 0 }, { ipv6Only: address.includes(':') });
    open.push(made);
    return made;
  }

  test('a socket bound to one address tells that one, and no link-local one', async () => {
    const main = await socket('127.0.0.1');
    expect(hostEndpoints({ main }, {}, { v4: '10.0.0.1' })).toEqual([main.local]);
  });

  test('the IPv6 socket asks the servers that have an IPv6 address', async () => {
    const server = await StunServer.start({ addresses: ['::1'], port: 0, altPort: 0 });
    open.push(server);
    const [main, beside] = [await socket('127.0.0.1'), await socket('::1')];
    const gathering = new Gathering({
      sockets: { main, beside },
      stun: [
        { host: '127.0.0.1', port: 1 },
        { host: '::1', port: server.endpoint.port },
      ],
      kinds: ['srflx'],
      reflexive: () => [],
      log: silentLogger,
      signal: AbortSignal.timeout(5000),
    });
    await gathering.settled;
    expect(gathering.list(OUTER)).toContainEqual({ type: 'srflx', endpoint: beside.local });
  });

  test('a router that takes its time holds up a letter for a moment only, longer behind a symmetric NAT', async () => {
    let granted: () => void = () => {};
    const settled = new Promise<void>((resolve) => {
      granted = resolve;
    });
    const lease = { settled, external: undefined } as unknown as PortLease;
    const sockets = { main: await socket('127.0.0.1'), lease };
    const signal = AbortSignal.timeout(5000);
    const gathering = new Gathering({ sockets, stun: [], reflexive: () => [], log: silentLogger, signal });
    const begun = performance.now();
    await gathering.ready(UNMEASURED, signal);
    const [brief, symmetric] = [
      performance.now() - begun,
      { ...UNMEASURED, mapping: 'address-dependent' as const },
    ];
    expect(brief).toBeGreaterThan(100);
    expect(brief).toBeLessThan(450);
    setTimeout(granted, 300);
    await gathering.ready(symmetric, signal);
    expect(performance.now() - begun - brief).toBeGreaterThan(250);
    await gathering.ready(symmetric, AbortSignal.abort(new Error('enough')));
  });

  test('without an IPv6 server nothing is waited for', async () => {
    const sockets = { main: await socket('127.0.0.1'), beside: await socket('::1') };
    const stun = [{ host: '127.0.0.1', port: 9 }];
    const signal = AbortSignal.timeout(5000);
    const gathering = new Gathering({ sockets, stun, reflexive: () => [], log: silentLogger, signal });
    await gathering.settled;
    expect(gathering.list(OUTER)[0]).toEqual({ type: 'srflx', endpoint: OUTER });
    expect(signal.aborted).toBe(false);
  });
});

test('--candidates', async () => {
  const base = ['--app-id=a', '--stun-server=s', '--exec-command=true', '--host-info=a/b', '--file-dir=d'];
  const kinds = async (...argv: string[]) => (await settingsOf([...base, ...argv])).settings.candidates;
  expect(await kinds()).toBeUndefined();
  expect(await kinds('--candidates=mapped,host')).toEqual(['host', 'mapped']);
  expect(await kinds('--candidates=none')).toEqual([]);
  await expect(kinds('--candidates=none,host')).rejects.toMatchObject({ code: 'USAGE_BAD_VALUE' });
});
