import { describe, expect, test } from 'vitest';
import { advice, type Diagnosis, explain, prospects, type ServerState } from '../../../src/stun/explain.js';
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

describe('what a report means for connecting (the lab’s matrix)', () => {
  const row = (report: Partial<NatReport>) => {
    const { open, restricted, strict, symmetric } = prospects({ ...HOME, ...report });
    return [open, restricted, strict, symmetric];
  };
  test.each<[string, Partial<NatReport>, string[]]>([
    ['full cone', { filtering: 'endpoint-independent' }, ['works', 'works', 'works', 'works']],
    ['address-restricted', { filtering: 'address-dependent' }, ['works', 'works', 'works', 'works']],
    ['port-restricted', {}, ['works', 'works', 'works', 'not without help']],
    ['filtering unknown', { filtering: 'not-measured' }, ['works', 'works', 'works', 'unknown']],
    ['symmetric', SYMMETRIC, ['works', 'works', 'not without help', 'not without help']],
    [
      'address-dependent',
      { mapping: 'address-dependent' },
      ['works', 'works', 'not without help', 'not without help'],
    ],
    [
      'symmetric in steps',
      { ...SYMMETRIC, portStep: 1 },
      ['works', 'works', 'may need effort', 'not without help'],
    ],
    ['nothing measured', UNMEASURED, ['works', 'works', 'unknown', 'unknown']],
  ])('%s', (_, report, expected) => {
    expect(row(report)).toEqual(expected);
  });
});

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
  test('an ordinary home NAT, as printed', () => {
    expect(
      explain(diagnosis()),
    ).toBe(`Public endpoint  198.51.100.10:40001 (seen by 192.0.2.10:3478 after 21 ms)
Local endpoint   0.0.0.0:5000
NAT              yes, it keeps port numbers
Mapping          endpoint-independent: one public endpoint whoever you talk to: peers can be told where you are
Filtering        address-and-port-dependent: lets in only the exact address and port that you have sent to
Hairpin          no: machines behind this NAT do not reach each other by public endpoint
STUN servers     stun.example.org:3478 answered

Against a peer behind
  no NAT, or a full-cone NAT                      works
  an address-restricted NAT                       works
  a port-restricted NAT (most homes)              works
  a symmetric NAT (mobile and company networks)   not without help

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
