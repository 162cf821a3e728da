import type { Io } from '../io.js';
import type { DaemonPlace } from './client.js';

/** What one command of `awl meepo` gets. */
export interface MeepoContext {
  readonly words: readonly string[];
  readonly flags: ReadonlyMap<string, string>;
  readonly daemon: DaemonPlace;
  readonly io: Io;
  readonly signal: AbortSignal;
  /** A MeepoID, or the id of a name that the user gave. */
  readonly peer: (word: string | undefined) => string;
}
