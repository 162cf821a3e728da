import { mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { launch } from '../../src/launch/exec.js';
import { silentLogger } from '../../src/log.js';
import { PASSAGE } from '../support/passage.js';

const FLOOD = fileURLToPath(new URL('../fixtures/programs/flood.sh', import.meta.url));
const MIB = 1024 * 1024;

test('64 MiB of output pass awl by: nothing lost, nothing held in memory, other work goes on', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'awl-flood-'));
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  try {
    const log = join(dir, 'out');
    const before = process.memoryUsage().rss;
    const exit = await launch({ command: FLOOD, args: '64', log }, PASSAGE, { log: silentLogger });
    expect(exit).toEqual({ status: 0, signal: null });
    expect(process.memoryUsage().rss - before).toBeLessThan(32 * MIB);
    expect(ticks).toBeGreaterThan(0);
    expect((await stat(log)).size).toBe(64 * MIB + 'flooded\n'.length);
    const file = await open(log);
    const { buffer } = await file.read(Buffer.alloc(8), 0, 8, 64 * MIB);
    await file.close();
    expect(buffer.toString()).toBe('flooded\n');
  } finally {
    clearInterval(timer);
    await rm(dir, { recursive: true, force: true });
  }
});
