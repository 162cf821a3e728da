import type { NetworkInterfaceInfo } from 'node:os';
import { expect, test } from 'vitest';
import { defaultGateway, guessGateway } from '../../../../src/stun/portmap/gateway.js';

const HEAD = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n';
const row = (iface: string, to: string, via: string, flags: string, metric: number, mask = to) =>
  `${iface}\t${to}\t${via}\t${flags}\t0\t0\t${metric}\t${mask}\t0\t0\t0\n`;

test('of several default routes the one with the lowest metric counts', () => {
  const routes =
    HEAD +
    row('wlan0', '00000000', '0102A8C0', '0003', 600) +
    row('eth0', '00000000', '0101A8C0', '0003', 100) +
    row('eth0', '0001A8C0', '00000000', '0001', 100, '00FFFFFF');
  expect(defaultGateway(routes)).toBe('192.168.1.1');
  expect(defaultGateway(routes, false)).toBe('1.1.168.192');
});

test('a route that is down, half a route and a default route into a tunnel name no gateway', () => {
  expect(defaultGateway(HEAD + row('eth0', '00000000', '0101A8C0', '0002', 0))).toBeUndefined();
  expect(defaultGateway(HEAD + row('tun0', '00000000', '0108080A', '0003', 0, '00000080'))).toBeUndefined();
  expect(defaultGateway(HEAD + row('tun0', '00000000', '00000000', '0001', 0))).toBeUndefined();
  expect(defaultGateway('')).toBeUndefined();
});

test('without a routing table the first address of the own network is asked', () => {
  const own = (address: string, netmask: string): NetworkInterfaceInfo[] => [
    { address, netmask, family: 'IPv4', mac: '02:00:00:00:00:01', internal: false, cidr: null },
  ];
  expect(guessGateway({ en0: own('192.168.178.23', '255.255.255.0') }, '192.168.178.23')).toBe(
    '192.168.178.1',
  );
  expect(guessGateway({ en0: own('10.1.2.200', '255.255.255.128') }, '10.1.2.200')).toBe('10.1.2.129');
  expect(guessGateway({ en0: own('10.1.2.1', '255.255.255.0') }, '10.1.2.1')).toBeUndefined();
  expect(guessGateway({}, '10.1.2.1')).toBeUndefined();
});
