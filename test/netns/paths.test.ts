import { afterEach, describe, expect, test } from 'vitest';
import { AWL, AwlProcess } from '../support/awl.js';
import { Lab, type LabOptions } from '../support/lab.js';
import { LabPair } from '../support/lab-awl.js';
import { MiniUpnpd } from '../support/miniupnpd.js';
import { needs } from '../support/needs.js';

const STUN4 = '192.0.2.10';
const STUN6 = '[2001:db8:5::10]';

/** Which candidate wins, where the NATs alone would leave nothing or a detour. */
describe.skipIf(!needs('root', 'ip', 'nft', 'python3'))('candidates beyond the public endpoint', () => {
  let lab: Lab | undefined;
  afterEach(async () => {
    await lab?.down();
    lab = undefined;
  });

  async function up(name: string, options: LabOptions): Promise<Lab> {
    lab = await Lab.up(name, options);
    const listen = [STUN4, '192.0.2.11'].map((address) => `--listen=${address}`);
    const v4 = new AwlProcess(lab.spawn('s', process.execPath, [AWL, 'stun-server', ...listen]));
    await expect.poll(() => v4.output).toContain('ready');
    if (options.ipv6) {
      const v6 = new AwlProcess(
        lab.spawn('s', process.execPath, [AWL, 'stun-server', '--listen=2001:db8:5::10']),
      );
      await expect.poll(() => v6.output).toContain('ready');
    }
    return lab;
  }

  /** Bob accepts in one role, Alice invites from the other; payloads talk; both passages. */
  async function meet(built: Lab, roles: readonly [string, string], ...args: string[]) {
    const pair = await LabPair.make();
    const bob = pair.start(built, roles[1], 'b', '--accept', '--once', ...args, ...pair.exec('echo'));
    await bob.event('listening');
    const alice = pair.start(built, roles[0], 'a', ...args, ...pair.exec('hello'));
    expect(await alice.ended, `${alice.output}\n---\n${bob.output}`).toBe(0);
    expect(await bob.ended, bob.output).toBe(0);
    return { alice: alice.find('passage'), bob: bob.find('passage'), told: alice.find('candidates') };
  }

  test('IPv6 is the way where both NATs are symmetric, and the payload gets its address', async () => {
    const built = await up('six', { a: 'symmetric', b: 'symmetric', ipv6: true });
    const { alice, bob } = await meet(built, ['a', 'b'], `--stun-server=${STUN4},${STUN6}`);
    expect(alice).toMatchObject({ confirmed: true, alien: expect.stringMatching(/^\[2001:db8:b::2\]:/) });
    expect(bob).toMatchObject({ inner: expect.stringMatching(/^\[::\]:/) });
  });

  test('IPv6 alone works too: STUN, reference and passage', async () => {
    const built = await up('only', { a: 'port-restricted', b: 'port-restricted', ipv6: true });
    const { alice } = await meet(built, ['a', 'b'], `--stun-server=${STUN6}`, '--stun-client=[::]:0');
    expect(alice).toMatchObject({ outer: expect.stringMatching(/^\[2001:db8:a::2\]:/) });
  });

  test('two machines behind one NAT without hairpin meet in their own network', async () => {
    const built = await up('lan', { a: 'port-restricted', lanHosts: 2 });
    const { alice, told } = await meet(built, ['a', 'a2'], `--stun-server=${STUN4}`);
    expect(alice).toMatchObject({ confirmed: true, alien: expect.stringMatching(/^192\.168\.10\.3:/) });
    expect(told?.own).toContainEqual(expect.stringMatching(/^host 192\.168\.10\.2:/));
  });

  test.skipIf(!needs('miniupnpd'))(
    'a mapped port lets two symmetric NATs meet; a stranger is not told the acceptor’s own network',
    async () => {
      const built = await up('mapped', { a: 'symmetric', b: 'symmetric', publicA: '44.55.66' });
      const router = await MiniUpnpd.start(built, 'nata');
      const { bob, told } = await meet(built, ['a', 'b'], `--stun-server=${STUN4}`);
      expect(bob).toMatchObject({
        confirmed: true,
        how: 'mapped',
        alien: expect.stringMatching(/^44\.55\.66\.10:/),
      });
      expect(told?.own.join(' ')).toMatch(/host 192\.168\.10\.2:.* mapped 44\.55\.66\.10:/);
      expect(told?.peer.join(' ')).not.toContain('192.168');
      expect(await router.ports()).toEqual([]);
    },
  );
});
