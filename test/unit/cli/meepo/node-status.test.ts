import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { nodeMetrics } from '../../../../src/cli/meepo/node-metrics.js';
import { nodeText } from '../../../../src/cli/meepo/status-text.js';
import { metricsText } from '../../../../src/cli/metrics.js';
import { type DaemonStatus, isDaemonStatus } from '../../../../src/meepo/status.js';
import { loopbackNode, until } from '../../../support/meepo-nodes.js';

const STATUS: DaemonStatus = {
  ...{ pid: 4711, upMs: 7_500_000, id: '6abc', access: 'everybody may reach nothing' },
  signaling: [
    { name: 'redis', where: '192.0.2.1:6379', ready: true, strays: 2 },
    { name: 'hyperdht', ready: false, strays: 0 },
  ],
  transports: [
    { peerID: '6bob', state: 'connected', kind: 'passage', awl: true, ageMs: 5_000, channels: 3, strays: 1 },
    { peerID: '6eve', state: 'new', awl: false, ageMs: 10, channels: 0, strays: 0 },
  ],
  teleportations: [
    {
      ...{
        name: 'web"\n\u001b[2J',
        peer: '6bob',
        state: 'connected',
        portal: 'source',
        channels: 2,
        connected: 7,
      },
      ...{ source: { network: 'tcp', address: '127.0.0.1:8080' }, sink: { network: 'tcp', address: ':80' } },
      ...{ sent: 12_000_000, received: 900, exposed: true },
    },
  ],
  ...{ connected: 4, dialled: 1, refused: 3, strays: 5, mesh: { relayed: 2, dropped: 1 } },
  proxy: { succeeded: 6, refused: 1 },
};

test('a node is told in lines that nobody else can make', () => {
  expect(nodeText(STATUS).split('\n')).toEqual([
    'awl meepo 4711 6abc: up 2 h 5 min, signaling over redis 192.0.2.1:6379, hyperdht (away)',
    '  everybody may reach nothing',
    '  4 transports so far, 1 connection made for peers, 3 refused, 5 stray messages, 2 offers passed on, 7 proxy requests',
    '  transport 6bob connected: passage, awl, for 5 s, 3 channels, 1 stray message',
    '  transport 6eve new: for 0 s, 0 channels',
    expect.stringMatching(
      /^ {2}source web"[\w\\[]+: tcp:127\.0\.0\.1:8080 to tcp::80 of 6bob: 2 connections of 7, sent 12 MB, received 900 B, the peer has the secret as a hash$/,
    ),
    '',
  ]);
  const many = { ...STATUS, transports: Array.from({ length: 250 }, () => STATUS.transports[0]!) };
  expect(nodeText(many)).toContain('  and 150 more\n');
});

test('its numbers are Prometheus text, whatever peers call things', () => {
  const lines = metricsText(nodeMetrics(STATUS)).split('\n');
  expect(lines).toContain('awl_meepo_transports{state="connected"} 1');
  expect(lines).toContain('awl_meepo_transport_channels{peer="6bob",kind="passage"} 3');
  expect(lines).toContain('awl_meepo_teleportations{portal="source"} 1');
  expect(lines).toContain('awl_meepo_signaling_ready{name="hyperdht"} 0');
  expect(lines).toContain('awl_meepo_signaling_strays_total{name="redis"} 2');
  expect(lines).toContain('awl_meepo_strays_total 5');
  expect(lines).toContain('awl_meepo_proxy_requests_total{outcome="refused"} 1');
  expect(lines).toContain(
    'awl_meepo_sent_bytes_total{peer="6bob",name="web\\"\\n [2J",portal="source"} 12000000',
  );
  expect(
    lines.filter((line) => line !== '' && !/^(# TYPE \w+ (counter|gauge)|\w+(\{.*\})? \d+)$/.test(line)),
  ).toEqual([]);
});

test('what another version says is not taken for a status', () => {
  expect(isDaemonStatus(STATUS)).toBe(true);
  for (const other of [undefined, null, 'x', [], {}, { ...STATUS, id: 7 }, { ...STATUS, transports: {} }]) {
    expect(isDaemonStatus(other)).toBe(false);
  }
});

test('a node counts what goes through each teleportation, and what it refuses', async () => {
  const service = createServer((socket) => void socket.end('0123456789')).listen(0, '127.0.0.1');
  await once(service, 'listening');
  const remote = `127.0.0.1:${(service.address() as AddressInfo).port}`;
  const node = loopbackNode(undefined, { access: { blocks: ['127.0.0.1:22'] } });
  try {
    const made = await node.teleport({ peer: node.id, remote, name: 'web' });
    const [host = '', port = ''] = made.source.address.split(':');
    const socket = connect(Number(port), host);
    socket.end('abc');
    socket.resume();
    await once(socket, 'close');
    await expect(node.teleport({ peer: node.id, remote: ':22' })).rejects.toThrow('acl: not allowed');
    expect(await until(() => node.status().teleportations.every(({ channels }) => channels === 0))).toBe(
      true,
    );
    const { transports, teleportations, ...counts } = node.status();
    expect(transports).toMatchObject([{ peerID: node.id, state: 'connected', kind: 'loopback', awl: true }]);
    expect(teleportations).toMatchObject([
      { name: 'web', portal: 'source', connected: 1, sent: 3, received: 10 },
      { name: 'web', portal: 'sink', connected: 1, sent: 10, received: 3 },
    ]);
    expect(counts).toMatchObject({ connected: 1, dialled: 1, refused: 1, strays: 0, signaling: [] });
    expect(counts.access).toBe('everybody who knows our id may reach every destination except 127.0.0.1:22');
  } finally {
    await node.close();
    service.close();
  }
});
