import { readdirSync, readFileSync } from 'node:fs';

/** Ids of all processes there are right now. */
export function processIds(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

/** A file of `/proc/PID`, blanks for its NULs; empty if the process is gone or somebody else's. */
export function procFile(pid: number, name: 'cmdline' | 'environ' | 'stat'): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}

/** True if the process runs; a zombie that nobody collected does not. */
export function isRunning(pid: number): boolean {
  const stat = procFile(pid, 'stat');
  return stat !== '' && !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
}
