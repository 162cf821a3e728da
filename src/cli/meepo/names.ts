import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AwlError, errorText } from '../../errors.js';
import { formatMeepoId, isMeepoId, parseMeepoId } from '../../wire/meepo/id.js';
import type { MeepoContext } from './context.js';
import { ensureMeepoDirectory, namesPath } from './place.js';

type Env = Readonly<Record<string, string | undefined>>;

/** One label of a host name that cannot be taken for a MeepoID. */
const NAME = /^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/;

function unreadable(path: string, why: string): AwlError {
  return new AwlError('CONFIG_SYNTAX', `${path}: ${why}`, {
    hint: 'mend it, or move it away to begin with no names: {"name": "MeepoID"} is what it holds',
  });
}

/**
 * The user's names for peers; none if the file is missing.
 * @throws AwlError CONFIG_SYNTAX for anything that `name add` would not write: the next one would lose it
 */
export function readNames(env: Env): ReadonlyMap<string, string> {
  const path = namesPath(env);
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
    throw unreadable(path, errorText(error));
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw unreadable(path, 'there are no names in it');
  const names = Object.entries(value);
  const wrong = names.find(([name, id]) => !NAME.test(name) || typeof id !== 'string' || !isMeepoId(id));
  if (wrong) throw unreadable(path, `${JSON.stringify(wrong[0].slice(0, 60))} is no name, or has no MeepoID`);
  return new Map(names);
}

function write(env: Env, names: ReadonlyMap<string, string>): void {
  const folder = ensureMeepoDirectory(env);
  const half = join(folder, `.names.${process.pid}`);
  writeFileSync(half, `${JSON.stringify(Object.fromEntries(names), undefined, 2)}\n`, { mode: 0o600 });
  renameSync(half, namesPath(env));
}

/** `name add`, `name list`, `name remove`. */
export const NAME_ACTIONS: Readonly<Record<string, (context: MeepoContext) => Promise<string>>> = {
  'name add': async ({ words, io }) => {
    const [name = '', id = ''] = words;
    if (!NAME.test(name)) {
      throw new AwlError('USAGE_BAD_VALUE', `${JSON.stringify(name.slice(0, 60))} cannot be a name`, {
        hint: 'use 1 to 40 letters, digits and dashes',
      });
    }
    const names = new Map(readNames(io.env)).set(name, formatMeepoId(parseMeepoId(id)));
    write(io.env, names);
    return `${name}.mpo leads to ${names.get(name)}\n`;
  },
  'name remove': async ({ words, io }) => {
    const names = new Map(readNames(io.env));
    if (!names.delete(words[0] ?? '')) throw new AwlError('USAGE_BAD_VALUE', 'there is no such name');
    write(io.env, names);
    return '';
  },
  'name list': async ({ io }) => [...readNames(io.env)].map(([name, id]) => `${name}\t${id}\n`).join(''),
};
