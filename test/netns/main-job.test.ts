import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AWL, AwlProcess } from '../support/awl.js';
import { pings } from '../support/hook.js';
import { Lab } from '../support/lab.js';
import { LabPair } from '../support/lab-awl.js';
import { LabMail, ROOT } from '../support/lab-mail.js';
import { needs } from '../support/needs.js';

const ready = needs(
  ...['root', 'ip', 'nft', 'python3', 'dovecot', 'exim4', 'openssl'],
  ...['openvpn', 'wg', 'wireguard-go', 'ping'],
);
const USERS = { a: 'alice', b: 'bob' } as const;

/**
 *   a -- NAT (port-restricted) -- 6 routers -- NAT (port-restricted) -- b
 *                                    |
 *                                    s: Exim, Dovecot, awl stun-server
 */
describe.skipIf(!ready)('the main job through two kernel NATs over real e-mail', () => {
  let lab: Lab;
  let mail: LabMail;
  let pair: LabPair;

  beforeAll(async () => {
    pair = await LabPair.make();
    lab = await Lab.up('job', { a: 'port-restricted', b: 'port-restricted', hops: 6 });
    mail = await LabMail.start(lab);
    new AwlProcess(
      lab.spawn('s', process.execPath, [AWL, 'stun-server', '--listen=192.0.2.10', '--listen=192.0.2.11']),
    );
  }, 60_000);
  afterAll(async () => {
    await mail?.stop();
    await lab?.down();
  });

  const start = (people: LabPair, role: 'a' | 'b', args: readonly string[], env: NodeJS.ProcessEnv = {}) => {
    const line = people.line(role, '--rendezvous=email', '--json', '--stun-server=192.0.2.10', ...args);
    return new AwlProcess(lab.spawn(role, process.execPath, line, { env: { ...process.env, ...env } }));
  };
  const awl = (role: 'a' | 'b', ...args: string[]) =>
    start(pair, role, ['--log-level=debug', ...mail.flags(USERS[role]), ...args], { AWL_WG_USERSPACE: '1' });

  test('payloads on both sides talk over the punched path, and awl reports both exit statuses', async () => {
    const bob = awl('b', '--accept', '--once', ...pair.exec('echo'));
    await bob.event('listening');
    const alice = awl('a', ...pair.exec('hello'));
    expect(await alice.ended, alice.output).toBe(0);
    expect(await bob.ended, bob.output).toBe(0);
    expect(alice.output).toContain('hello: 3 datagrams went there and back');
    const passage = alice.find('passage');
    expect(passage).toMatchObject({
      confirmed: true,
      how: 'reflexive',
      alien: expect.stringMatching(/^203\.0\.113\.10:/),
    });
    expect(bob.find('passage')).toMatchObject({ alien: expect.stringMatching(/^198\.51\.100\.10:/) });
    const between = (bob.find('payload-started')?.at ?? 0) - (bob.find('stun')?.at ?? 0);
    console.log(`acceptor: own endpoint known to payload started ${between.toFixed(0)} ms`);
  });

  test.each([
    ['exec-openvpn.sh', '10.77.0'],
    ['exec-wireguard.sh', '10.78.0'],
  ])('%s: the real program takes over the passage, and both sides ping each other', async (hook, net) => {
    const command = `--exec-command=${join(ROOT, 'scripts', hook)}`;
    const bob = awl('b', '--accept', '--once', command);
    await bob.event('listening');
    const alice = awl('a', command);
    try {
      await expect.poll(() => pings(lab, 'a', `${net}.1`), { timeout: 30_000, interval: 200 }).toBe(true);
      expect(await pings(lab, 'b', `${net}.2`)).toBe(true);
    } catch (error) {
      throw new Error(`alice:\n${alice.output}\nbob:\n${bob.output}`, { cause: error });
    } finally {
      alice.stop();
      bob.stop();
    }
    await Promise.all([alice.ended, bob.ended]);
    const left = await lab.run('a', 'ip', ['-br', 'link']);
    expect(left.stdout).not.toMatch(/tun|awl/);
  });

  test('an acceptor serves one invitation after another and stops cleanly on SIGTERM', async () => {
    const bob = awl('b', '--accept', ...pair.exec('echo'));
    await bob.event('listening');
    for (let round = 0; round < 2; round++) {
      const alice = awl('a', ...pair.exec('hello'));
      expect(await alice.ended, alice.output).toBe(0);
    }
    bob.stop('SIGTERM');
    expect(await bob.ended, bob.output).toBe(0);
    expect(bob.events.filter(({ event }) => event === 'passage')).toHaveLength(2);
  });

  test('with nobody there the initiator says so with its own status', async () => {
    const alone = ['--app-id=nobody', ...mail.flags('alice'), '--exec-command=true'];
    const alice = start(pair, 'a', alone, { PLEXUS_RESPONSE_TIMEOUT: '1500' });
    expect(await alice.ended).toBe(68);
    expect(alice.output).toMatch(/PEER_NO_ANSWER.*\n.*hint/i);
  });

  test('one mail account serves both sides', async () => {
    const one = await LabPair.make({ a: 'alice@awl.test/laptop', b: 'alice@awl.test/nas' });
    const account = ['--app-id=one', ...mail.flags('alice')];
    const bob = start(one, 'b', [...account, '--accept', '--once', ...one.exec('echo')]);
    await bob.event('listening');
    const alice = start(one, 'a', [...account, ...one.exec('hello')]);
    expect(await alice.ended, alice.output).toBe(0);
    expect(await bob.ended, bob.output).toBe(0);
  });
});
