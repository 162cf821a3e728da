import { describe, expect, test } from 'vitest';
import { advice, type Diagnosis, explain, type ServerState } from '../../../src/stun/explain.js';
import { fitSchedule } from '../../../src/stun/schedule.js';
import { type NatReport, UNMEASURED } from '../../../src/wire/nat-report.js';

const ANSWERED: ServerState = { name: 'stun.example.org:3478', state: 'answered' };
const SILENT: ServerState = { name: 'dead.example.org:3478', state: 'silent' };
const HOME: NatReport = {
  nat: 'yes',
  mapping: 'endpoint-independent',
  filtering: 'address-and-port-dependent',
  hairpin: 'no',
  portPreservation: 'yes',
};
const SYMMETRIC: NatReport = {
  ...HOME,
  mapping: 'address-and-port-dependent',
  hairpin: 'not-measured',
  portPreservation: 'no',
};

function diagnosis(parts: Partial<Diagnosis> & { unreachable?: boolean } = {}): Diagnosis {
  const { unreachable, ...rest } = parts;
  const found = {
    endpoint: { address: '198.51.100.10', port: 40001 },
    server: { address: '192.0.2.10', port: 3478 },
    ms: 21.4,
  };
  return {
    local: { address: '0.0.0.0', port: 5000 },
    ...(!unreachable && { found }),
    report: HOME,
    servers: [ANSWERED],
    ...rest,
  };
}

describe('the one thing to change', () => {
  test('an ordinary home NAT needs nothing', () => {
    expect(advice(diagnosis())).toBeUndefined();
    expect(explain(diagnosis())).toContain('Nothing to change.');
  });

  test.each<[string, Parameters<typeof diagnosis>[0], RegExp]>([
    ['symmetric NAT', { report: SYMMETRIC }, /forward UDP port 5000 .* --stun-client=0\.0\.0\.0:5000/],
    [
      'symmetric NAT comes before a dead server',
      { report: SYMMETRIC, servers: [ANSWERED, SILENT] },
      /forward UDP/,
    ],
    [
      'a dead server beside a good one',
      { servers: [ANSWERED, SILENT] },
      /replace dead\.example\.org:3478 .* did not answer/,
    ],
    [
      'a refusing server',
      { servers: [ANSWERED, { name: 'x:1', state: 'refused', detail: 'refused: error 401' }] },
      /replace x:1 .*: it refused: error 401/,
    ],
    ['one plain server', { report: { ...HOME, mapping: 'not-measured' } }, /name a second STUN server/],
    [
      'two servers that contradict each other',
      { report: { ...HOME, mapping: 'not-measured' }, servers: [ANSWERED, ANSWERED] },
      /name other STUN servers/,
    ],
    [
      'one dead server',
      { unreachable: true, servers: [SILENT] },
      /name a second STUN server .* UDP is blocked/,
    ],
    ['all servers dead', { unreachable: true, servers: [SILENT, SILENT] }, /let UDP out of this network/],
    [
      'names that nobody knows',
      {
        unreachable: true,
        servers: [{ name: 'typo.example', state: 'unresolved', detail: 'has no IPv4 address' }],
      },
      /check the spelling of typo\.example/,
    ],
    [
      'a server that refuses',
      { unreachable: true, servers: [{ name: 'x:1', state: 'refused', detail: 'refused: error 401' }] },
      /another server than x:1/,
    ],
  ])('%s', (_, parts, words) => {
    const text = explain(diagnosis({ ...(parts?.unreachable && { report: UNMEASURED }), ...parts }));
    expect(text).toMatch(words);
    expect(text.match(/To change:/g)).toHaveLength(1);
  });
});

describe('the words', () => {
  test.each<[string, Partial<Diagnosis>, RegExp]>([
    [
      'a router that forwards',
      {
        portMapping: {
          ...{ state: 'mapped', protocol: 'upnp', gateway: '192.168.1.1', router: 'FRITZ!Box' },
          external: { address: '203.0.113.7', port: 4000 },
        },
      },
      /^Port mapping {5}yes, by UPnP: the router "FRITZ!Box" at 192\.168\.1\.1 forwarded 203\.0\.113\.7:4000, and took it back$/m,
    ],
    [
      'two NATs in a row',
      { portMapping: { state: 'refused', problem: 'the router at 192.168.1.1 is itself behind a NAT' } },
      /^Port mapping {5}no: the router at 192\.168\.1\.1 is itself behind a NAT$/m,
    ],
    [
      'mapping that was not wanted',
      { portMapping: { state: 'off' } },
      /^Port mapping {5}not tried: --port-mapping=off$/m,
    ],
    [
      'IPv6 as a server sees it',
      { ipv6: { address: '2001:db8::1', endpoint: { address: '2001:db8::1', port: 5000 } } },
      /^IPv6 {13}yes, \[2001:db8::1\]:5000: /m,
    ],
    [
      'IPv6 that no server can see',
      { ipv6: { address: '2001:db8::1' } },
      /^IPv6 {13}2001:db8::1, not tested/m,
    ],
  ])('%s', (_, parts, line) => {
    expect(explain(diagnosis(parts))).toMatch(line);
  });

  test('who has a forwarded port needs to change nothing, however symmetric the NAT is', () => {
    const external = { address: '203.0.113.7', port: 4000 };
    const parts = { report: SYMMETRIC, portMapping: { state: 'mapped' as const, external } };
    expect(explain(diagnosis(parts))).toContain('Nothing to change.');
  });

  test('an ordinary home NAT, as printed', () => {
    expect(
      explain(diagnosis({ hops: 2, ipv6: {}, portMapping: { state: 'none' } }), [
        { peer: 'no NAT', outcome: 'direct' },
        { peer: 'a symmetric NAT with random ports', outcome: 'direct with effort' },
      ]),
    ).toBe(`Public endpoint  198.51.100.10:40001 (seen by 192.0.2.10:3478 after 21 ms)
Local endpoint   0.0.0.0:5000
NAT              yes, it keeps port numbers
Mapping          endpoint-independent: one public endpoint whoever you talk to: peers can be told where you are
Filtering        address-and-port-dependent: lets in only the exact address and port that you have sent to
Hairpin          no: machines behind this NAT do not reach each other by public endpoint
NAT distance     datagrams with a TTL of 2 leave it
STUN servers     stun.example.org:3478 answered
Port mapping     no: no router here forwards ports (PCP, NAT-PMP and UPnP were tried)
IPv6             no

Against a peer behind
  no NAT                                          direct
  a symmetric NAT with random ports               direct with effort

Nothing to change.
`);
  });

  test('without an endpoint no prospects are invented', () => {
    const text = explain(diagnosis({ unreachable: true, report: UNMEASURED, servers: [SILENT] }));
    expect(text).toContain('Public endpoint  not found');
    expect(text).not.toContain('Against a peer');
  });

  test.each<[string, Partial<NatReport>, string]>([
    ['no NAT', { nat: 'no', filtering: 'endpoint-independent' }, 'none: this machine has a public address'],
    ['a firewall', { nat: 'no' }, 'none, but a firewall'],
    ['a sequential NAT', { portPreservation: 'no', portStep: 1 }, 'it changes port numbers, in steps of 1'],
    ['hairpin', { hairpin: 'yes' }, 'yes: machines behind this NAT reach each other'],
    ['not measured', { nat: 'not-measured', mapping: 'not-measured' }, 'Mapping          not measured:'],
  ])('%s', (_, report, words) => {
    expect(explain(diagnosis({ report: { ...HOME, ...report } }))).toContain(words);
  });
});

test('a schedule is cut to the time there is', () => {
  expect(fitSchedule([200, 400, 800], 1000)).toEqual([200, 400, 400]);
  expect(fitSchedule([200, 400], 5000)).toEqual([200, 400]);
  expect(fitSchedule([200, 400], 0)).toEqual([]);
});
