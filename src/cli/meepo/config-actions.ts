import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { AwlError, errorText } from '../../errors.js';
import {
  DEFAULT_CONFIG,
  formatConfig,
  type MeepoConfig,
  parseConfig,
  type ReadConfig,
} from '../../meepo/config.js';
import { getKey, setKey } from '../../meepo/config-keys.js';
import { expandHome, readInputFile } from '../input-file.js';
import { type Io, oneLine } from '../io.js';
import type { MeepoContext } from './context.js';
import { configPath } from './place.js';

const CONFIG_MAX_BYTES = 256 * 1024;

/** The configuration file that a command means. */
export function chosenConfig({
  flags,
  io,
}: Pick<MeepoContext, 'flags'> & { readonly io: Pick<Io, 'env'> }): string {
  const typed = flags.get('config');
  return typed === undefined ? configPath(io.env) : expandHome(typed);
}

/**
 * Reads it; a missing one means defaults, unless it was typed.
 * @throws AwlError CONFIG_UNREADABLE, CONFIG_SYNTAX, CONFIG_UNKNOWN_NAME
 */
export async function loadConfig(path: string): Promise<ReadConfig> {
  if (!existsSync(path)) return { config: structuredClone(DEFAULT_CONFIG), given: new Set(), notes: [] };
  return parseConfig(readInputFile(path, 'the configuration', CONFIG_MAX_BYTES).text);
}

async function save(path: string, config: MeepoConfig): Promise<void> {
  const text = await formatConfig(config);
  // What would not be read again is not written.
  await parseConfig(text);
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const half = `${path}.${process.pid}.part`;
    writeFileSync(half, text, { mode: 0o600 });
    renameSync(half, path);
  } catch (cause) {
    throw new AwlError('FILE_WRITE', `cannot write ${oneLine(path)}: ${errorText(cause)}`, { cause });
  }
}

/** `k=v ...` with `base64:` and `file://` values. */
async function assign(config: MeepoConfig, words: readonly string[], context: MeepoContext): Promise<void> {
  for (const word of words) {
    const equals = word.indexOf('=');
    if (equals < 1)
      throw new AwlError('USAGE_BAD_VALUE', `${JSON.stringify(word.slice(0, 60))} is no key=value`);
    const note = await setKey(config, word.slice(0, equals), decode(word.slice(equals + 1)));
    if (note !== undefined) context.io.stderr(`awl: warning: ${note}\n`);
  }
}

function decode(value: string): string {
  if (value.startsWith('base64:')) return Buffer.from(value.slice(7), 'base64').toString('utf8');
  if (!value.startsWith('file://')) return value;
  return readInputFile(value.slice(7), 'the value', CONFIG_MAX_BYTES).text;
}

/** `config init`, `config get`, `config set`. */
export const CONFIG_ACTIONS: Readonly<Record<string, (context: MeepoContext) => Promise<string>>> = {
  'config init': async (context) => {
    const path = chosenConfig(context);
    if (existsSync(path) && context.flags.get('overwrite') !== 'true') {
      throw new AwlError('FILE_EXISTS', 'Config already existed', { hint: '--overwrite replaces it' });
    }
    const config = structuredClone(DEFAULT_CONFIG);
    await assign(config, context.words, context);
    await save(path, config);
    return 'Meepo config initialized\n';
  },
  'config get': async (context) => {
    const { config } = await loadConfig(chosenConfig(context));
    return getKey(config, context.words[0] ?? '');
  },
  'config set': async (context) => {
    const path = chosenConfig(context);
    const { config } = await loadConfig(path);
    await assign(config, context.words, context);
    await save(path, config);
    return '';
  },
};
