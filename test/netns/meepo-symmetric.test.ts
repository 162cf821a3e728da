import { describe, expect, test } from 'vitest';
import { meepoScene } from '../support/lab-meepo.js';
import { needs } from '../support/needs.js';

const ready = needs('root', 'ip', 'nft', 'python3');

describe.skipIf(!ready)('awl meepo behind a symmetric NAT', () => {
  test('without any server, and through a symmetric NAT: by birthday sockets, found over HyperDHT', async () => {
    const { alice, bob, wanted } = await meepoScene(
      'meeposym',
      { a: 'symmetric', b: 'port-restricted' },
      'hyperdht',
    );
    const made = await alice.run(...wanted);
    expect(made.stdout, made.stderr + alice.output + bob.output).toContain('Teleport SUCCESS');
    expect(alice.output).toMatch(/passage to .*: birthday, peer confirmed/);
    expect(alice.output).toMatch(/transport to .* \(passage, awl\)/);
    expect((await alice.run('ping', await bob.id())).stdout).toBe('Pong\n');
    await alice.stop();
    await bob.stop();
  });
});
