import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AwlError } from '../../errors.js';
import { formatMeepoId, parseMeepoId } from '../../wire/meepo/id.js';
import type { MeepoContext } from './context.js';
import { ensureMeepoDirectory, namesPath } from './place.js';

type Env = Readonly<Record<string, string | undefined>>;

/** One label of a host name that cannot be taken for a MeepoID. */
const NAME = /^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/;

/** The user's names for peers; none if the file is missing. */
export function readNames(env: Env): ReadonlyMap<string, string> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(namesPath(env), 'utf8'));
  } catch {
    return new Map();
  }
  if (typeof value !== 'object' || value === null) return new Map();
  return new Map(
    Object.entries(value).filter(
      (one): one is [string, string] => NAME.test(one[0]) && typeof one[1] === 'string',
    ),
  );
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
