import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { launch } from '../../src/launch/exec.js';
import { silentLogger } from '../../src/log.js';
import { UdpSocket } from '../../src/util/udp.js';
import { compile } from '../support/compiled.js';
import { PASSAGE } from '../support/passage.js';

/** What `ls` sees of itself: 0, 1, 2 and the folder that it lists. */
const LIST = { command: 'ls', args: '-l /proc/self/fd' };

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'awl-fd-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

function descriptors(listing: string): [number, string][] {
  return [...listing.matchAll(/ (\d+) -> (.*)$/gm)].map((match) => [Number(match[1]), match[2] ?? '']);
}

async function payloadSees(log: string): Promise<[number, string][]> {
  await launch({ ...LIST, log }, PASSAGE, { log: silentLogger });
  return descriptors(await readFile(log, 'utf8'));
}

test('no socket, file or pipe of awl reaches the payload', async () => {
  const before = await payloadSees(join(dir, 'before'));
  const udp = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  const tcp = createServer().listen(0, '127.0.0.1');
  await once(tcp, 'listening');
  const file = await open(join(dir, 'open'), 'w+');
  const sibling = spawn('cat', { stdio: 'pipe' });
  try {
    const log = join(dir, 'after');
    const after = await payloadSees(log);
    const streams = after.filter(([number]) => number < 3);
    expect(streams.map(([, target]) => target)).toEqual(['/dev/null', log, log]);
    expect(after.map(([number]) => number)).toEqual(before.map(([number]) => number));
  } finally {
    sibling.kill('SIGKILL');
    await file.close();
    tcp.close();
    await udp.close();
  }
});

test('not even a descriptor that awl itself was started with', async () => {
  const compiled = await compile('launch/exec.ts', 'log.ts');
  try {
    const main = join(dir, 'main.mjs');
    await writeFile(
      main,
      `import { launch } from ${JSON.stringify(join(compiled.dir, 'launch/exec.js'))};
       import { silentLogger } from ${JSON.stringify(join(compiled.dir, 'log.js'))};
       const endpoint = { address: '127.0.0.1', port: 0 };
       const name = { owner: 'a', pin: 'b' };
       const values = { role: 'invite', inner: endpoint, outer: endpoint, peer: endpoint, secret: 1n, hostName: name, peerName: name };
       await launch(${JSON.stringify({ ...LIST, log: join(dir, 'out') })}, values, { log: silentLogger });`,
    );
    // Whatever runs the tests may leave descriptors of its own open: begin from none, then open two.
    const clean =
      'for f in /proc/$$/fd/*; do n=$(basename $f); if ((n > 2)); then eval "exec $n>&-"; fi; done';
    const start = `${clean}; exec "$0" "$1" 7</dev/zero 9>/dev/full`;
    await promisify(execFile)('bash', ['-c', start, process.execPath, main]);
    const numbers = descriptors(await readFile(join(dir, 'out'), 'utf8')).map(([number]) => number);
    expect(numbers).toEqual([0, 1, 2, 3]);
  } finally {
    await compiled.remove();
  }
});

test('a detached payload without a log reads and writes nowhere', async () => {
  const out = join(dir, 'out');
  const script = `x=$(readlink /proc/$$/fd/0 /proc/$$/fd/2); y=$(readlink /proc/$$/fd/1); echo $x $y > ${out}`;
  await launch({ command: 'sh', args: `-c '${script}'`, detach: true }, PASSAGE, { log: silentLogger });
  await expect.poll(() => readFile(out, 'utf8').catch(() => '')).toBe('/dev/null /dev/null /dev/null\n');
});
