import { once } from 'node:events';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseName } from '../../src/identity/names.js';
import { createIdentity, exportIdentity, trustIdentity } from '../../src/identity/onboarding.js';
import { AWL, AwlProcess } from '../support/awl.js';
import { Lab, type LabOptions } from '../support/lab.js';
import { needs } from '../support/needs.js';
import { tempDir } from '../support/tmp.js';

const ALICE = 'alice@awl.test/laptop';
const BOB = 'bob@awl.test/nas';

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
  const folder = tempDir();
  const repos = { a: join(folder, 'a'), b: join(folder, 'b') };
  await createIdentity(repos.a, parseName(ALICE));
  await createIdentity(repos.b, parseName(BOB));
  await trustIdentity(repos.b, await exportIdentity(repos.a, parseName(ALICE)));
  await trustIdentity(repos.a, await exportIdentity(repos.b, parseName(BOB)));
  const mail = tempDir();
  const start = (role: string, side: 'a' | 'b', ...more: string[]): AwlProcess =>
    new AwlProcess(
      lab.spawn(role, process.execPath, [
        ...[AWL, '--json', '--app-id=test', `--app-repo=${repos[side]}`, `--state-dir=${tempDir()}`],
        ...[`--host-info=${side === 'a' ? ALICE : BOB}`, `--peer-info=${side === 'a' ? BOB : ALICE}`],
        ...['--stun-server=192.0.2.10', '--rendezvous=file', `--file-dir=${mail}`, '--log-level=debug'],
        ...['--exec-command=true', '--exec-args=', ...args, ...more],
      ]),
    );
  const bob = start(acceptor, 'b', '--accept', '--once');
  // A letter that went out before the NAT was measured would ask for other rungs.
  await Promise.all([bob.event('listening'), bob.event('nat')]);
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

describe.skipIf(!needs('root', 'ip', 'nft', 'python3', 'tcpdump'))('a peer that never answers', () => {
  test('is sent 64 datagrams at most, as a sniffer on the way counts them', async () => {
    // Of what b sends only its questions to the STUN server come out of its NAT. Before the birthday rung has its turn
    // between two NATs of this kind (12 s) the attempt is over.
    await inLab('silent', { a: 'port-restricted', b: 'port-restricted' }, async (lab) => {
      const rules = [
        'add table inet mute',
        'add chain inet mute f { type filter hook forward priority -10; }',
        'add rule inet mute f iifname "lan" udp dport != { 3478, 3479 } drop',
      ];
      const { status } = await lab.run('natb', 'nft', ['-f', '-'], { input: `${rules.join('\n')}\n` });
      expect(status).toBe(0);
      const filter = 'udp and dst host 203.0.113.10 and not src port 3478 and not src port 3479';
      const sniffer = lab.spawn('natb', 'tcpdump', ['-n', '-l', '-Q', 'in', '-i', 'wan', filter]);
      let seen = '';
      sniffer.stdout?.setEncoding('utf8').on('data', (text: string) => {
        seen += text;
      });
      if (sniffer.stderr) await once(sniffer.stderr, 'data');
      const { alice } = await session(lab, 'a', 'b', '--handshake-timeout=11');
      const failed = await alice.event('failed');
      expect(failed.code).toBe('HANDSHAKE_TIMEOUT');
      expect(failed.message).toContain('tried: ');
      expect(failed.message).toContain('cone NAT');
      const count = seen.split('\n').filter((line) => line.includes('> 203.0.113.10')).length;
      expect(count).toBeGreaterThan(5);
      expect(count).toBeLessThanOrEqual(64);
    });
  });
});
