import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { NatReport } from '../../src/wire/nat-report.js';
import { type Compiled, compile } from '../support/compiled.js';
import { Lab } from '../support/lab.js';
import { needs } from '../support/needs.js';

/*
 *   a -- nata [-- cga] -- i1 -- ... -- i4 -- natb -- b
 *                               |
 *                               s   our StunServer on 192.0.2.10 and 192.0.2.11
 *
 * awl doctor runs on a, behind each kind of NAT that the kernel is made to be (docs/NETLAB.md).
 */
const EIM = 'endpoint-independent';
const ADF = 'address-dependent';
const APD = 'address-and-port-dependent';
const HOME = { nat: 'yes', mapping: EIM, hairpin: 'no', portPreservation: 'yes' } as const;
const SYMMETRIC = {
  nat: 'yes',
  mapping: APD,
  filtering: APD,
  hairpin: 'not-measured',
  portPreservation: 'no',
} as const;

const EXPECTED: readonly (readonly [type: string, report: NatReport])[] = [
  ['none', { ...HOME, nat: 'no', filtering: EIM, hairpin: 'not-measured' }],
  ['full-cone', { ...HOME, filtering: EIM }],
  ['restricted', { ...HOME, filtering: ADF }],
  ['port-restricted', { ...HOME, filtering: APD }],
  ['hostile', { ...HOME, filtering: APD }],
  ['symmetric', SYMMETRIC],
  ['symmetric-sequential', { ...SYMMETRIC, portStep: 1 }],
  ['cgnat', { ...HOME, filtering: APD }],
  ['full-cone/symmetric', SYMMETRIC],
  ['full-cone/full-cone', { ...HOME, filtering: EIM }],
  ['port-restricted+hairpin', { ...HOME, filtering: APD, hairpin: 'yes' }],
];

/** The smallest TTL that leaves the box, where it filters: it does not where anybody is let in. */
const HOPS: Readonly<Record<string, number>> = {
  ...{ restricted: 2, 'port-restricted': 2, hostile: 2, 'port-restricted+hairpin': 2, cgnat: 3 },
};

/** Runs doctor or the server with what the command line would hand over; prints the seconds doctor took. */
const RUNNER = `
const [what, root, ...args] = process.argv.slice(1);
const controller = new AbortController();
process.on('SIGTERM', () => controller.abort(new Error('stop')));
const io = { stdout: (t) => process.stdout.write(t), stderr: (t) => process.stderr.write(t) };
if (what === 'server') {
  const { runStunServer } = await import(root + '/cli/stun-server.js');
  process.exitCode = await runStunServer({ listen: args, port: 3478, altPort: 3479 }, io, controller.signal);
} else {
  const { runDoctor } = await import(root + '/cli/doctor.js');
  const servers = args.map((host) => ({ host, port: 3478 }));
  const bind = { address: '0.0.0.0', port: 0 };
  const begun = performance.now();
  process.exitCode = await runDoctor({ servers, bind, json: what === 'json', portMapping: what !== 'json' }, io, controller.signal);
  process.stderr.write(String(performance.now() - begun));
}`;

describe.skipIf(!needs('root', 'ip', 'nft', 'python3'))('awl doctor behind real kernel NATs', () => {
  let code: Compiled;
  let lab: Lab | undefined;
  beforeAll(async () => {
    code = await compile('cli/main.ts');
  });
  afterAll(async () => {
    await code.remove();
  });

  const script = (what: string, ...args: string[]) => [
    '--input-type=module',
    '-e',
    RUNNER,
    '--',
    what,
    code.dir,
    ...args,
  ];

  /** Builds a lab, serves STUN in it, runs doctor in it, and takes it down. */
  async function inLab<T>(type: string, addresses: string[], use: (built: Lab) => Promise<T>): Promise<T> {
    lab = await Lab.up('classify', { a: type });
    try {
      if (addresses.length > 0) {
        const server = lab.spawn('s', process.execPath, script('server', ...addresses), {
          stdio: ['ignore', 'ignore', 'pipe'],
        });
        if (server.stderr) await once(server.stderr, 'data');
      }
      return await use(lab);
    } finally {
      await lab.down();
    }
  }

  async function doctor(built: Lab, what: 'json' | 'words', ...servers: string[]) {
    const { status, stdout, stderr } = await built.run('a', process.execPath, script(what, ...servers));
    return { status, stdout, ms: Number(stderr) };
  }

  /** The tests have a second: what a busy machine answers later is not measured, which is no mistake, so that they are made again. */
  async function measured(built: Lab, report: object, hops: number | null) {
    const whole = { ...report, hops };
    for (let tries = 1; ; tries++) {
      const { status, stdout, ms } = await doctor(built, 'json', '192.0.2.10');
      const result = JSON.parse(stdout);
      const found: Record<string, unknown> = { ...result.report, hops: result.hops };
      const missing = Object.entries(whole).filter(
        ([name, value]) =>
          found[name] !== value && [undefined, null, 'not-measured'].includes(found[name] as string),
      );
      if (missing.length === 0 || tries === 6) return { status, result, ms };
      // What was measured is right in every try.
      expect({ ...found, ...Object.fromEntries(missing) }).toEqual(whole);
    }
  }

  test.each(EXPECTED)('%s is recognised', async (type, report) => {
    await inLab(type, ['192.0.2.10', '192.0.2.11'], async (built) => {
      const { status, result, ms } = await measured(built, report, HOPS[type] ?? null);
      expect(result.report).toEqual(report);
      expect(result.hops).toBe(HOPS[type] ?? null);
      expect(status).toBe(0);
      expect(result.endpoint.split(':')[0]).toBe(type === 'none' ? '198.51.100.130' : '198.51.100.10');
      expect(ms).toBeLessThan(5000);
    });
  });

  test.each([
    ['port-restricted', EIM],
    ['symmetric', APD],
  ])('%s is told by two plain servers too', async (type, mapping) => {
    await inLab(type, ['192.0.2.10'], async (built) => {
      const second = built.spawn('s', process.execPath, script('server', '192.0.2.11'), {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      if (second.stderr) await once(second.stderr, 'data');
      const { stdout } = await doctor(built, 'json', '192.0.2.10', '192.0.2.11');
      expect(JSON.parse(stdout).report).toMatchObject({ mapping, filtering: 'not-measured' });
    });
  });

  test.each([
    ['blocked UDP', 'blocked-udp', ['192.0.2.10', '192.0.2.11']],
    ['dead servers', 'port-restricted', []],
  ])(
    '%s is said in words, in under 5 s, with the exit status of STUN_UNREACHABLE',
    async (_, type, addresses) => {
      await inLab(type, addresses, async (built) => {
        const { status, stdout, ms } = await doctor(built, 'words', '192.0.2.10', '192.0.2.11');
        expect(stdout).toMatch(/^Public endpoint {2}not found/);
        expect(stdout).toMatch(/To change: let UDP out of this network/);
        expect(status).toBe(74);
        expect(ms).toBeLessThan(5000);
      });
    },
  );

  test.each([
    ['alone', [], /To change: check the spelling of stun\.example\.org:3478/],
    ['next to a dead server', ['192.0.2.10'], /To change: let UDP out of this network/],
  ])(
    'names that a silent name server holds back, %s, cost no more than 5 s of the whole program',
    async (_, more, words) => {
      await inLab('blocked-udp', [], async (built) => {
        const etc = `/etc/netns/${built.ns('a')}`;
        mkdirSync(etc, { recursive: true });
        try {
          writeFileSync(`${etc}/resolv.conf`, 'nameserver 192.0.2.53\n');
          const servers = ['stun.example.org', ...more].join(',');
          const args = [`${code.dir}/cli/main.js`, 'doctor', `--stun-server=${servers}`];
          const begun = performance.now();
          const { status, stdout } = await built.run('a', process.execPath, args);
          expect(performance.now() - begun).toBeLessThan(5000);
          expect(stdout).toMatch(words);
          expect(status).toBe(74);
        } finally {
          rmSync(etc, { recursive: true, force: true });
        }
      });
    },
  );
});
