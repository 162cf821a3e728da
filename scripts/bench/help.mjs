// How long `awl --help` takes against `node -e 0`, run in turn so that both see the same machine.
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';

const awl = join(resolve(import.meta.dirname, '../..'), 'dist/cli/main.js');
const runs = Number(process.argv[2] ?? 40);
const time = (args) => {
  const begun = performance.now();
  const { status } = spawnSync(process.execPath, args, { stdio: 'ignore' });
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}`);
  return performance.now() - begun;
};
const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
const bare = [];
const help = [];
for (let run = 0; run < runs; run++) {
  bare.push(time(['-e', '0']));
  help.push(time([awl, '--help']));
}
const [b, h] = [median(bare), median(help)];
console.log(`node -e 0   ${b.toFixed(1)} ms (median of ${runs})`);
console.log(`awl --help  ${h.toFixed(1)} ms (median of ${runs})`);
console.log(`ratio       ${(h / b).toFixed(2)} (to stay at or under 2.0)`);
