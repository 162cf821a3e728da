import { AwlError, errorText, isAwlError } from '../errors.js';
import type { Logger } from '../log.js';
import type { EventSink } from './events.js';

export interface FailedSession {
  readonly session: string;
  readonly peer: string;
  /** Of the session. */
  readonly log: Logger;
  readonly emit: EventSink | undefined;
}

/** Tells log and events that one session of an acceptor failed, which goes on with the others. */
export function reportFailure(error: unknown, { session, peer, log, emit }: FailedSession): AwlError {
  const known = isAwlError(error) ? error : new AwlError('INTERNAL', errorText(error), { cause: error });
  const { code, message, hint } = known;
  log.error(`session with ${peer} failed: ${code}: ${message}${hint ? ` (${hint})` : ''}`);
  emit?.({ event: 'failed', session, peer, code, message, ...(hint && { hint }) });
  return known;
}
