import type { CommandContext } from './command.js';
import { runId } from './id.js';
import { expandHome } from './input-file.js';

const TEXTS = ['bits', 'out', 'as'] as const;
const FLAGS = ['replace', 'long'] as const;

/** Hands the words and own options of `awl id` to {@link runId}, which knows which form takes which. */
export function runIdCommand({ options, operands, io }: CommandContext): Promise<number> {
  const args = [...operands];
  const [form, ...words] = args;
  const typed = [
    ...TEXTS.flatMap((name) => {
      const text = options.text(name);
      return text === undefined ? [] : [`--${name}=${name === 'out' ? expandHome(text) : text}`];
    }),
    ...FLAGS.filter((name) => options.flag(name)).map((name) => `--${name}`),
  ];
  const line = form === undefined ? [] : [form, ...typed, '--', ...words];
  return runId(line, {
    stdout: io.stdout,
    stderr: io.stderr,
    cwd: process.cwd(),
    now: new Date(),
    json: options.flag('json'),
    repo: expandHome(options.text('app-repo') ?? '.'),
  });
}
