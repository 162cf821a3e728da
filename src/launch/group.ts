import { readdirSync, readFileSync } from 'node:fs';
import { GROUP_POLL_MS, KILL_WAIT_MS, TERM_GRACE_MS } from '../constants.js';
import { sleep } from '../util/sleep.js';

/** What {@link endAll} ends: one process, or a whole group. */
export interface Target {
  signal(name: NodeJS.Signals): void;
  alive(): boolean;
}

/** Sends a signal; false if there is nobody to take it. A process of another user counts as there. */
function kill(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** State and process group out of `/proc/PID/stat`, whose second field may hold blanks and parentheses (proc(5)). */
function readStat(pid: string): { state: string; group: number } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', group: Number(fields[2]) };
  } catch {
    return undefined;
  }
}

/** Ids of the processes of a group that still run; zombies, which an idle init may never collect, do not count. */
function members(group: number): string[] | undefined {
  try {
    return readdirSync('/proc').filter((pid) => {
      if (!/^\d+$/.test(pid)) return false;
      const stat = readStat(pid);
      return stat?.group === group && stat.state !== 'Z' && stat.state !== 'X';
    });
  } catch {
    return undefined;
  }
}

/** The process group that a child started with `detached` leads. */
export function processGroup(leader: number): Target {
  return {
    signal: (name) => {
      kill(-leader, name);
    },
    alive: () => kill(-leader, 0) && members(leader)?.length !== 0,
  };
}

/** One process alone; `running` knows whether it was collected, after which its id may be somebody else's. */
export function singleProcess(pid: number, running: () => boolean): Target {
  return {
    signal: (name) => {
      if (running()) kill(pid, name);
    },
    alive: running,
  };
}

async function goneWithin(target: Target, ms: number): Promise<boolean> {
  for (let waited = 0; target.alive(); waited += GROUP_POLL_MS) {
    if (waited >= ms) return false;
    await sleep(GROUP_POLL_MS);
  }
  return true;
}

/** TERM, then after the grace KILL; resolves to how it ended. `stuck` means that even KILL did not help in time. */
export async function endAll(
  target: Target,
  graceMs = TERM_GRACE_MS,
): Promise<'terminated' | 'killed' | 'stuck'> {
  target.signal('SIGTERM');
  // A stopped process would sleep through TERM.
  target.signal('SIGCONT');
  if (await goneWithin(target, graceMs)) return 'terminated';
  target.signal('SIGKILL');
  return (await goneWithin(target, KILL_WAIT_MS)) ? 'killed' : 'stuck';
}
