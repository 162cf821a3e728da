import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { Lab } from '../support/lab.js';
import { LabPair } from '../support/lab-awl.js';
import { needs } from '../support/needs.js';

const SERVER = '192.0.2.10';
const PORTS = [4222, 4223, 4224];

/** a (invites) -- NAT -- s: STUN and three of Debian's dhtnodes -- NAT -- b (accepts) */
describe.skipIf(!needs('root', 'ip', 'nft', 'python3', 'dhtnode'))('OpenDHT through two kernel NATs', () => {
  let lab: Lab | undefined;
  afterEach(() => lab?.down());

  async function startNodes(): Promise<ChildProcess[]> {
    const nodes: ChildProcess[] = [];
    for (const port of PORTS) {
      const seed = port === PORTS[0] ? [] : ['-b', `${SERVER}:${PORTS[0]}`];
      const node = lab!.spawn('s', 'dhtnode', ['-p', String(port), ...seed], {
        stdio: ['pipe', 'pipe', 'ignore'],
      });
      // Its prompt.
      if (node.stdout) await once(node.stdout, 'data', { signal: AbortSignal.timeout(10_000) });
      nodes.push(node);
    }
    return nodes;
  }

  test('two awls meet twice, the second time after the node that they began with has died', async () => {
    const pair = await LabPair.make();
    lab = await Lab.up('odht', { a: 'port-restricted', b: 'port-restricted', delay: '5ms' });
    await lab.stun();
    const nodes = await startNodes();
    const flags = [
      '--rendezvous=opendht',
      `--dht-bootstrap=${PORTS.map((port) => `${SERVER}:${port}`).join(',')}`,
      `--stun-server=${SERVER},192.0.2.11`,
    ];
    const bob = pair.start(lab, 'b', 'b', '--accept', ...flags, ...pair.exec('echo'));
    await bob.event('listening');
    const meet = async () => {
      const alice = pair.start(lab!, 'a', 'a', ...flags, ...pair.exec('hello'));
      const { confirmed } = await alice.event('passage', 20_000);
      expect(confirmed).toBe(true);
      await alice.event('payload-ended', 20_000);
      expect(await alice.ended).toBe(0);
      expect(alice.output).toContain('hello');
    };
    await meet();
    nodes[0]!.kill('SIGKILL');
    await once(nodes[0]!, 'exit');
    await meet();
    expect(bob.events.filter(({ event }) => event === 'passage')).toHaveLength(2);
    bob.stop();
    expect(await bob.ended).toBe(0);
  }, 60_000);
});
