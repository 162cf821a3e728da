import { describe, expect, test } from 'vitest';
import { LINES, meepoScene } from '../support/lab-meepo.js';
import { needs } from '../support/needs.js';

const ready = needs('root', 'ip', 'nft', 'python3', 'redis-server');
const LISTENER = `
  let all = '';
  require('net').connect(8080, '127.0.0.1').on('data', (d) => {
    if (all === '') console.log('begun');
    all += d;
  }).on('close', () => {
    const lines = all.trim().split('\\n');
    console.log(lines.length + ' lines, ' + (lines.every((line, i) => Number(line) === i) ? 'in order' : 'torn'));
  });`;

describe.skipIf(!ready)('awl meepo behind two kernel NATs', () => {
  test('a teleport through two port-restricted NATs; then one of them forgets everything and gets another address, and the open connection goes on without a gap', async () => {
    const { lab, start } = await meepoScene('meepo', { a: 'port-restricted', b: 'port-restricted' }, 'redis');
    const { alice, bob, peer, wanted } = await start();
    const made = await alice.run(...wanted);
    expect(made.stdout, made.stderr + alice.output + bob.output).toBe(
      'Teleport SUCCESS\nEnjoy your teleportation with 127.0.0.1:8080\n',
    );
    const listener = lab.spawn('a', process.execPath, ['-e', LISTENER]);
    let got = '';
    listener.stdout?.on('data', (text) => {
      got += text;
    });
    await expect.poll(() => got, { timeout: 10_000 }).toContain('begun');
    const moved = await lab.run('nata', 'sh', [
      '-ec',
      'route=$(ip route show default); ip addr del 198.51.100.10/25 dev wan; ip addr add 198.51.100.11/25 dev wan; ip route replace $route',
    ]);
    expect(moved.status, moved.stderr).toBe(0);
    await expect.poll(() => alice.output, { timeout: 50_000 }).toContain('the path is lost');
    await expect.poll(() => got, { timeout: 60_000 }).toContain(`${LINES} lines, in order`);
    expect((await alice.run('transport', 'list')).stdout).toContain(`| ${peer} | connected |`);
    await alice.stop();
    await bob.stop();
  }, 150_000);
});
