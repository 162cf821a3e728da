import { once } from 'node:events';
import { beforeAll, describe, expect, test } from 'vitest';
import { sleep } from '../../src/util/sleep.js';
import { Lab, type LabOptions } from '../support/lab.js';
import { LabPair } from '../support/lab-awl.js';
import { needs } from '../support/needs.js';

/*
 *   a, a2 -- nata [-- cga] -- i1 -- ...      Both machines are in the same network, behind the same NAT.
 *                             s
 */
async function inLab<T>(name: string, o: LabOptions, use: (lab: Lab) => Promise<T>): Promise<T> {
  const lab = await Lab.up(name, { ...o, lanHosts: 2 });
  try {
    await lab.stun();
    return await use(lab);
  } finally {
    await lab.down();
  }
}

/** Invites from the first role to the second. */
async function session(lab: Lab, inviter: string, acceptor: string, ...args: string[]) {
  const pair = await LabPair.make();
  const common = ['--stun-server=192.0.2.10', '--exec-command=true', '--exec-args=', ...args];
  const start = (role: string, side: 'a' | 'b', ...more: string[]) =>
    pair.start(lab, role, side, ...common, ...more);
  const bob = start(acceptor, 'b', '--accept', '--once');
  // A letter that went out before the NAT was measured would ask for other rungs.
  await Promise.all([bob.event('listening', 60_000), bob.event('nat', 60_000)]);
  return { alice: start(inviter, 'a'), bob };
}

describe.skipIf(!needs('root', 'ip', 'nft', 'python3'))('two machines behind one NAT', () => {
  test.each([
    ['without hairpin', 'port-restricted'],
    ['with hairpin', 'port-restricted+hairpin'],
    ['behind a carrier’s NAT as well', 'cgnat'],
  ])('meet over their own network %s', async (_what, a) => {
    await inLab('near', { a }, async (lab) => {
      const { alice, bob } = await session(lab, 'a', 'a2');
      const [invite, accept] = await Promise.all([alice.event('passage'), bob.event('passage')]);
      expect(invite).toMatchObject({ how: 'host', confirmed: true });
      expect(accept).toMatchObject({ how: 'host', confirmed: true });
      expect(invite.alien).toMatch(/^192\.168\.10\.3:/);
    });
  });
});

interface Silence {
  readonly message: string;
  readonly sent: number;
  readonly wide: number;
  /** Datagrams to the peer that came out of the own NAT. */
  readonly sniffed: number;
}

/** Invites a peer of which nothing comes out of its NAT but its questions to the STUN server. */
async function inviteSilence(a: string, b: string): Promise<Silence> {
  return inLab(`silent-${a.length}-${b.length}`, { a, b }, async (lab) => {
    const rules = [
      'add table inet mute',
      'add chain inet mute f { type filter hook forward priority -10; }',
      'add rule inet mute f iifname "lan" udp dport != { 3478, 3479 } drop',
    ];
    const { status } = await lab.run('natb', 'nft', ['-f', '-'], { input: `${rules.join('\n')}\n` });
    expect(status).toBe(0);
    const filter = 'udp and dst host 203.0.113.10 and not src port 3478 and not src port 3479';
    const sniffer = lab.spawn('nata', 'tcpdump', ['-n', '-l', '-Q', 'out', '-i', 'wan', filter]);
    let sniffed = 0;
    sniffer.stdout?.setEncoding('utf8').on('data', (text: string) => {
      sniffed += text.split('> 203.0.113.10').length - 1;
    });
    if (sniffer.stderr) await once(sniffer.stderr, 'data');
    // Before the birthday rung has its turn between two stable NATs (12 s) the attempt is over.
    const { alice } = await session(lab, 'a', 'b', '--handshake-timeout=11');
    const failed = await alice.event('failed', 90_000);
    await alice.ended;
    const [, sent, wide] = /punch: (\d+) datagrams .*?, (\d+) of the wide/.exec(alice.output) ?? [];
    for (let waited = 0; sniffed < Number(sent) && waited < 3_000; waited += 50) await sleep(50);
    return { message: String(failed.message), sent: Number(sent), wide: Number(wide), sniffed };
  });
}

describe.skipIf(!needs('root', 'ip', 'nft', 'python3', 'tcpdump'))('a peer that never answers', () => {
  // Three rounds; a prediction, then a search among random ports; birthday sockets.
  const cases = [
    ['port-restricted', 'port-restricted', 'reflexive;'],
    ['port-restricted', 'symmetric-sequential', 'reflexive, predicted, birthday;'],
    ['symmetric', 'port-restricted', 'reflexive, birthday;'],
  ] as const;
  const results: Silence[] = [];
  beforeAll(async () => {
    results.push(...(await Promise.all(cases.map(([a, b]) => inviteSilence(a, b)))));
  }, 170_000);

  test.each(cases.map(([a, b, rungs], index) => [a, b, rungs, index] as const))(
    'invited from behind %s, itself behind %s, is sent 64 datagrams at most beside those that it asked for',
    (_a, _b, rungs, index) => {
      const { message, sent, wide, sniffed } = results[index] ?? expect.fail('no result');
      expect(message).toContain(`tried: ${rungs}`);
      expect(message).toContain('your side is behind a ');
      expect(sniffed).toBeGreaterThan(5);
      expect(sniffed).toBeGreaterThan(0.9 * sent);
      expect(sniffed - wide).toBeLessThanOrEqual(64);
      expect(wide).toBeLessThanOrEqual(2_048);
    },
  );
});
