/** Words with which an exporter refuses; others are codes of its system, such as `ECONNREFUSED`. */
export const REFUSALS = {
  unlisted: 'not exported',
  forbidden: 'not allowed',
  silent: 'no answer',
  full: 'too many connections at once',
} as const;

/** What a refusal means for whoever asked. */
export type RefusalKind =
  | 'forbidden'
  | 'refused'
  | 'unreachable'
  | 'not-found'
  | 'timeout'
  | 'busy'
  | 'failed';

const KINDS: Readonly<Record<string, RefusalKind>> = {
  [REFUSALS.unlisted]: 'forbidden',
  [REFUSALS.forbidden]: 'forbidden',
  [REFUSALS.silent]: 'timeout',
  [REFUSALS.full]: 'busy',
  ECONNREFUSED: 'refused',
  ECONNRESET: 'refused',
  EHOSTUNREACH: 'unreachable',
  ENETUNREACH: 'unreachable',
  EHOSTDOWN: 'unreachable',
  ENETDOWN: 'unreachable',
  EADDRNOTAVAIL: 'unreachable',
  ETIMEDOUT: 'timeout',
  ENOTFOUND: 'not-found',
  ENODATA: 'not-found',
  EBADNAME: 'not-found',
  EAI_AGAIN: 'not-found',
  EMFILE: 'busy',
  ENFILE: 'busy',
};

/** Sorts the text of a refusal; what is not known is `failed`. */
export function refusalKind(reason: string): RefusalKind {
  return Object.hasOwn(KINDS, reason) ? (KINDS[reason] ?? 'failed') : 'failed';
}
