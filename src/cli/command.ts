import type { Logger } from '../log.js';
import type { Io } from './io.js';
import type { OptionValues } from './values.js';

/** What a command gets: parsed options, the words after it, and the edges of the process. */
export interface CommandContext {
  readonly options: OptionValues;
  /** Words that are no options, without the command's own name: `init me@example.org/laptop` of `awl id`. */
  readonly operands: readonly string[];
  readonly io: Io;
  readonly log: Logger;
  /** Aborts on SIGINT and SIGTERM; the reason is an AwlError ABORTED or TERMINATED. */
  readonly signal: AbortSignal;
}

/** A command resolves to its exit status; a thrown AwlError is printed and gives its own. */
export type RunCommand = (context: CommandContext) => Promise<number>;

/** One line of src/cli/commands.ts. `load` imports the command only when it is called. */
export interface CommandSpec {
  readonly name: string;
  readonly summary: string;
  /** What follows the name in the synopsis, one entry a form. */
  readonly forms: readonly string[];
  /** Paragraphs for help and man page. */
  readonly details: readonly string[];
  readonly examples?: readonly (readonly [command: string, meaning: string])[];
  readonly hidden?: boolean;
  /** Everything behind its name is its own business: another program's command line. */
  readonly raw?: true;
  readonly load: () => Promise<RunCommand>;
}
