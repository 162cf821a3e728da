// The lab of the benches: two machines behind port-restricted kernel NATs and a STUN server between them; needs root.
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { introduce, Lab, partyFlags, SERVER, sleep } from '../lab.mjs';

export { median, root, SERVER, sleep } from '../lab.mjs';
export const rssOf = (pid) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;

const LINK = ['--a=port-restricted', '--b=port-restricted', '--hops=6'];

/** Calls `work` with a lab and takes everything down again. */
export async function withLab(work, link = LINK) {
  const folder = mkdtempSync(join(tmpdir(), 'awl-bench-'));
  // Daemons that run as users of their own must be able to pass through.
  chmodSync(folder, 0o711);
  let lab;
  try {
    await introduce(folder);
    lab = new Lab(`bench${process.pid}`, link);
    lab.folder = folder;
    /** The flags of one side of a session but for the rendezvous. */
    lab.side = (role) => [
      '--app-id=bench',
      ...partyFlags(folder, role),
      `--state-dir=${join(folder, `state-${role}`)}`,
      ...['--exec-command=sleep', '--exec-args=0.3'],
    ];
    lab.awl('s', 'stun-server', `--listen=${SERVER}`, '--listen=192.0.2.11');
    await sleep(500);
    await work(lab);
  } finally {
    lab?.down();
    rmSync(folder, { recursive: true, force: true });
  }
}
