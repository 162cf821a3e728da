import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import { needs } from '../support/needs.js';
import { tempDir } from '../support/tmp.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

interface Outcome {
  readonly a: string;
  readonly b: string;
  readonly ok: boolean;
  readonly code?: string;
  readonly how: readonly (string | null)[];
  readonly passageMs?: number;
  readonly provenMs?: number;
  readonly sent: readonly [number, number];
  readonly wide: readonly [number, number];
  readonly seen: readonly [boolean, boolean];
}

/** Inviter and acceptor: each type at least once in each role, and every rung. scripts/grid does the whole grid. */
const PAIRS = [
  ...['none:hostile', 'full-cone:symmetric', 'restricted:port-restricted', 'port-restricted:cgnat'],
  ...['symmetric:port-restricted', 'symmetric-sequential:symmetric-sequential', 'cgnat:symmetric-sequential'],
  ...['hostile:full-cone', 'hostile:hostile', 'port-restricted:restricted', 'port-restricted:none'],
  ...['symmetric:symmetric'],
];

describe.skipIf(!needs('root', 'ip', 'nft', 'python3'))(
  'awl behind pairs of kernel NATs, side by side',
  () => {
    let results: readonly Outcome[] = [];

    beforeAll(async () => {
      expect(existsSync(join(ROOT, 'dist/cli/main.js')), 'run npm run build first').toBe(true);
      const file = join(tempDir(), 'grid.json');
      const args = ['--sides=a', '--jobs=4', '--tries=2', `--pairs=${PAIRS.join(',')}`, `--json=${file}`];
      await new Promise<void>((resolve) => {
        execFile(process.execPath, [join(ROOT, 'scripts/grid.mjs'), ...args], { timeout: 170_000 }, () =>
          resolve(),
        );
      });
      results = JSON.parse(readFileSync(file, 'utf8'));
    }, 180_000);

    const find = (pair: string) => results.find(({ a, b }) => `${a}:${b}` === pair);

    test.each(PAIRS.slice(0, -1))(
      '%s: direct, and the payload gets through and knows how it is seen',
      (pair) => {
        expect(find(pair)).toMatchObject({ ok: true, seen: [true, true] });
      },
    );

    test('two random symmetric NATs end within the limit and name the reason', () => {
      const outcome = find('symmetric:symmetric');
      expect(outcome).toMatchObject({ ok: false, code: 'NAT_IMPOSSIBLE', wide: [0, 0] });
      expect(outcome?.passageMs).toBeLessThan(15_000);
    });

    test('each rung wins where it has to', () => {
      expect(find('restricted:port-restricted')?.how).toEqual(['reflexive', 'reflexive']);
      expect(find('symmetric:port-restricted')?.how).toContain('birthday');
      expect(find('symmetric-sequential:symmetric-sequential')?.how).toEqual(['predicted', 'predicted']);
      // On a busy machine the sweep may have begun before the knock came in.
      expect(['remapped', 'birthday']).toContain(find('full-cone:symmetric')?.how[0]);
    });

    test('outside the wide rungs no side sends more than 64 datagrams', () => {
      for (const { sent, wide } of results) {
        for (const side of [0, 1] as const) expect(sent[side] - wide[side]).toBeLessThanOrEqual(64);
      }
    });
  },
);
