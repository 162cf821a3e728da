import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { completionScript } from '../../../src/cli/completion.js';
import { exitStatuses } from '../../../src/cli/exit-codes.js';
import { manPages } from '../../../src/cli/man.js';
import { madeFiles, REFRESHED_PAGES, refreshPage } from '../../../src/cli/markdown.js';
import { OPTIONS } from '../../../src/cli/options.js';
import { escapeRoff } from '../../../src/cli/roff.js';
import { WILDCARDS } from '../../../src/cli/wildcard-help.js';
import { ERROR_CODES } from '../../../src/errors.js';
import { substitute } from '../../../src/launch/wildcards.js';

const root = new URL('../../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');

describe('files made from the option table are up to date (scripts/make-docs.mjs makes them)', () => {
  test.each([...madeFiles()])('%s', (path, text) => {
    expect(read(path)).toBe(text);
  });

  test.each([...REFRESHED_PAGES])('%s', (path) => {
    const text = read(path);
    expect(refreshPage(text)).toBe(text);
  });
});

describe('nothing is left out', () => {
  test('every visible option stands in a man page, in the docs and in each completion', () => {
    const pages = [...manPages().values()].join('\n');
    const docs = read('docs/CLI.md');
    for (const { name, hidden } of OPTIONS) {
      expect(pages).toContain(escapeRoff(`--${name}`));
      if (hidden) continue;
      if (!['help', 'version'].includes(name)) expect(docs).toContain(`--${name}`);
      expect(completionScript('bash')).toContain(`--${name}`);
      expect(completionScript('zsh')).toContain(`--${name}`);
      expect(completionScript('fish')).toContain(` -l ${name}`);
    }
  });

  test('every code has an exit status with a meaning', () => {
    const listed = exitStatuses();
    expect(listed.flatMap(({ codes }) => codes.map(([code]) => code)).sort()).toEqual(
      Object.keys(ERROR_CODES).sort(),
    );
    for (const { status, meaning } of listed) expect(meaning, `status ${status}`).not.toBe('');
  });

  test('every wildcard in the manual is one that the launcher knows', () => {
    const values = {
      role: 'accept',
      inner: { address: '192.0.2.1', port: 1 },
      outer: { address: '192.0.2.2', port: 2 },
      peer: { address: '192.0.2.3', port: 3 },
      secret: 4n,
      hostName: { owner: 'a', pin: 'b' },
      peerName: { owner: 'c', pin: 'd' },
    } as const;
    for (const name of WILDCARDS.flatMap(([names]) => names)) {
      expect(substitute(`%${name}%`, values, 'env'), name).not.toContain('%');
    }
  });
});

describe('the made scripts are sound', () => {
  test('bash takes its completion and completes options, choices and commands', () => {
    const script = `${completionScript('bash')}
      try() { COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); _awl 2>/dev/null; echo "\${COMPREPLY[*]}"; }
      try awl do; try awl --exec-de; try awl --log-level = d; try awl id li; try awl id --repl`;
    const out = execFileSync('bash', ['-c', script], { encoding: 'utf8' });
    expect(out.split('\n').slice(0, 5)).toEqual(['doctor', '--exec-detach', 'debug', 'list', '--replace']);
  });

  test('no text of an option can begin a roff request or end a quote of a shell', () => {
    expect(escapeRoff(".x\n'y\\z")).toBe("\\&.x\n\\&'y\\ez");
    for (const line of completionScript('zsh').split('\n')) {
      expect((line.match(/'/g) ?? []).length % 2, line).toBe(0);
    }
  });
});
