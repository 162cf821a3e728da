import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { expandHome } from '../input-file.js';

type Env = Readonly<Record<string, string | undefined>>;

/** Where a node's things lie: `AWL_MEEPO_DIR`, else `~/.meepo`. */
export function meepoDirectory(env: Env): string {
  const chosen = env['AWL_MEEPO_DIR'];
  return chosen ? resolve(expandHome(chosen)) : join(homedir(), '.meepo');
}

/** Made 0700 if it is missing. */
export function ensureMeepoDirectory(env: Env): string {
  const path = meepoDirectory(env);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  return path;
}

export const configPath = (env: Env) => join(meepoDirectory(env), 'config.yaml');
export const socketPath = (env: Env) => join(meepoDirectory(env), 'api.sock');
export const logPath = (env: Env) => join(meepoDirectory(env), 'meepo.log');
export const namesPath = (env: Env) => join(meepoDirectory(env), 'names.json');
