import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const ROOT = resolve(import.meta.dirname, '../..');

/** Source files as a plain Node process can run them, for tests about what a process of its own does. */
export interface Compiled {
  /** Where `src/` went, as JavaScript. */
  readonly dir: string;
  remove(): Promise<void>;
}

/** Compiles `files` (paths under `src/`) and what they import into a temporary folder; takes about a second. */
export async function compile(...files: string[]): Promise<Compiled> {
  const dir = await mkdtemp(join(tmpdir(), 'awl-compiled-'));
  const config = {
    extends: join(ROOT, 'tsconfig.json'),
    compilerOptions: {
      outDir: dir,
      rootDir: join(ROOT, 'src'),
      declaration: false,
      noEmit: false,
      // Types have a check of their own; this is twice as fast.
      noCheck: true,
      typeRoots: [join(ROOT, 'node_modules/@types')],
    },
    files: files.map((file) => join(ROOT, 'src', file)),
    include: [],
  };
  await writeFile(join(dir, 'tsconfig.json'), JSON.stringify(config));
  await writeFile(join(dir, 'package.json'), '{"type":"module"}');
  await promisify(execFile)(join(ROOT, 'node_modules/.bin/tsc'), ['-p', join(dir, 'tsconfig.json')]);
  return { dir, remove: () => rm(dir, { recursive: true, force: true }) };
}
