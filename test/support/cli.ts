import { parseConfig } from '../../src/cli/config.js';
import type { Io } from '../../src/cli/io.js';
import { fromEnvironment, mergeLevels } from '../../src/cli/merge.js';
import { parseLine } from '../../src/cli/parse.js';
import { run } from '../../src/cli/run.js';
import { type CliSettings, sessionSettings } from '../../src/cli/settings.js';
import type { OptionValues } from '../../src/cli/values.js';

export interface Surroundings {
  readonly env?: Record<string, string>;
  /** Text of a configuration file called awl.ini. */
  readonly config?: string;
}

/** What a command line comes to, without touching the process or a file. */
export function valuesOf(argv: readonly string[], { env = {}, config }: Surroundings = {}): OptionValues {
  const line = parseLine(argv);
  const file = config === undefined ? [] : parseConfig(config, 'awl.ini', line.command).assignments;
  return mergeLevels([line.assignments, fromEnvironment(env, line.command), file]);
}

export function settingsOf(argv: readonly string[], around: Surroundings = {}): Promise<CliSettings> {
  return sessionSettings(valuesOf(argv, around), around.env ?? {});
}

/** Collects what a call prints. */
export function collectingIo(env: Record<string, string> = {}): Io & { out: string; err: string } {
  const io = {
    out: '',
    err: '',
    stdout: (text: string) => {
      io.out += text;
    },
    stderr: (text: string) => {
      io.err += text;
    },
    env,
    columns: 80,
  };
  return io;
}

/** One call in this process: exit status and output. */
export async function callAwl(
  argv: readonly string[],
  env: Record<string, string> = {},
): Promise<{ status: number; out: string; err: string }> {
  const io = collectingIo(env);
  const status = await run(argv, io, new AbortController().signal);
  return { status, out: io.out, err: io.err };
}
