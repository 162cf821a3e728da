import { describe, expect, test } from 'vitest';
import { meepoScene } from '../support/lab-meepo.js';
import { needs } from '../support/needs.js';

const ready = needs('root', 'ip', 'nft', 'python3');

describe.skipIf(!ready)('awl meepo behind a symmetric NAT', () => {
  test('without any server, and through a symmetric NAT: by birthday sockets, found over HyperDHT', async () => {
    const { start } = await meepoScene('meeposym', { a: 'symmetric', b: 'port-restricted' }, 'hyperdht');
    let said = '';
    // One search in fifty finds nothing, and a process makes one a minute: then new ones try.
    for (let tries = 3; tries > 0; tries--) {
      const { alice, bob, wanted } = await start();
      const made = await alice.run(...wanted);
      if (made.status === 0) {
        expect(made.stdout).toContain('Teleport SUCCESS');
        // What the daemon said before the command ended may be read after that.
        await expect
          .poll(() => alice.output, { timeout: 10_000 })
          .toMatch(/transport to .* \(passage, awl\)/);
        // This side may see it as a mapping that moved: which datagram came first is a matter of luck.
        const how = /passage to .*: (\w+), peer confirmed/.exec(alice.output)?.[1];
        expect(['birthday', 'remapped'], alice.output + bob.output).toContain(how);
        expect((await alice.run('ping', await bob.id())).stdout).toBe('Pong\n');
      }
      said = made.stderr + alice.output + bob.output;
      await alice.stop();
      await bob.stop();
      if (made.status === 0) return;
    }
    expect.fail(said);
  }, 180_000);
});
