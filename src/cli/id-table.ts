import { formatName } from '../identity/names.js';
import type { RepositoryEntry } from '../identity/survey.js';
import { formatFingerprint } from '../identity/x509.js';
import { oneLine } from './io.js';

const HEADER = ['IDENTITY', 'ROLE', 'FINGERPRINT', 'EXPIRES', 'MISSING'];

/** Identities as `awl id list` prints them: a table, and under each line what is wrong with that identity. */
export function identityTable(entries: readonly RepositoryEntry[], long: boolean): string {
  const rows = entries.map((entry) => [
    formatName(entry.name),
    entry.role,
    entry.fingerprint ? formatFingerprint(long ? entry.fingerprint : entry.fingerprint.slice(0, 16)) : '-',
    entry.expires ? dayOf(entry.expires) : '-',
    entry.missing.join(', ') || '-',
  ]);
  const widths = HEADER.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    `${cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()}\n`;
  const body = rows.map((row, index) => {
    const problems = entries[index]?.problems ?? [];
    return line(row) + problems.map((problem) => `  ! ${oneLine(problem)}\n`).join('');
  });
  return line(HEADER) + body.join('');
}

/** One identity as a line of `awl id list --json`. */
export function identityJson(entry: RepositoryEntry): object {
  const { role, usable, present, missing, problems, fingerprint, expires } = entry;
  return {
    event: 'identity',
    identity: formatName(entry.name),
    role,
    usable,
    fingerprint: fingerprint ?? null,
    expires: expires && !Number.isNaN(expires.getTime()) ? expires.toISOString() : null,
    present,
    missing,
    problems,
  };
}

function dayOf(date: Date): string {
  return Number.isNaN(date.getTime()) ? '-' : date.toISOString().slice(0, 10);
}
