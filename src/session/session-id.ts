import { randomBytes } from 'node:crypto';

/** What a session is called in logs and events. */
export function newSessionId(): string {
  return randomBytes(3).toString('hex');
}
