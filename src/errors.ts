/**
 * Every diagnosis awl can end with, and the sysexits status that goes with it.
 * The code *is* the diagnosis: it is stable, printed in logs and `--json`, and documented in awl(1).
 */
export const ERROR_CODES = {
  // 64 EX_USAGE: the command line is wrong
  USAGE_UNKNOWN_OPTION: 64,
  USAGE_UNKNOWN_COMMAND: 64,
  USAGE_BAD_VALUE: 64,
  USAGE_MISSING: 64,
  USAGE_CONFLICT: 64,
  // 65 EX_DATAERR: a message or file holds something it must not
  MESSAGE_MALFORMED: 65,
  MESSAGE_TOO_LARGE: 65,
  MESSAGE_NOT_PINNED: 65,
  MESSAGE_UNDECRYPTABLE: 65,
  MESSAGE_PLAINTEXT: 65,
  MESSAGE_STALE: 65,
  MESSAGE_REPLAYED: 65,
  MESSAGE_MISDIRECTED: 65,
  MESSAGE_UNSUPPORTED: 65,
  ADDRESS_REFUSED: 65,
  TERMS_UNMET: 65,
  // 68 EX_NOHOST: the other side did not answer the invitation
  PEER_NO_ANSWER: 68,
  // 69 EX_UNAVAILABLE: the rendezvous or the relay cannot be reached or refuses us; awl status: no awl is there
  RENDEZVOUS_UNREACHABLE: 69,
  RENDEZVOUS_REFUSED: 69,
  RENDEZVOUS_UNTRUSTED: 69,
  RELAY_UNREACHABLE: 69,
  RELAY_REFUSED: 69,
  NOT_RUNNING: 69,
  MEEPO_UNAVAILABLE: 69,
  // 70 EX_SOFTWARE: our own fault
  INTERNAL: 70,
  // 71 EX_OSERR: the payload could not be started
  PAYLOAD_START: 71,
  // 73 EX_CANTCREAT
  FILE_EXISTS: 73,
  FILE_WRITE: 73,
  // 74 EX_IOERR: own network or STUN server
  STUN_UNREACHABLE: 74,
  UDP_BIND: 74,
  TCP_BIND: 74,
  TUNNEL_BIND: 74,
  // 75 EX_TEMPFAIL: both sides are there but no datagram came through in time
  HANDSHAKE_TIMEOUT: 75,
  LIMIT_REACHED: 75,
  TUNNEL_LOST: 75,
  TUNNEL_FORGOTTEN: 75,
  // 76 EX_PROTOCOL: these two NATs cannot be punched
  NAT_IMPOSSIBLE: 76,
  TUNNEL_REFUSED: 76,
  MEEPO_REFUSED: 76,
  // 77 EX_NOPERM: an identity is missing, unsafe or unusable
  IDENTITY_NAME: 77,
  IDENTITY_MISSING: 77,
  IDENTITY_UNSAFE: 77,
  IDENTITY_INVALID: 77,
  IDENTITY_EXPIRED: 77,
  IDENTITY_UNTRUSTED: 77,
  // 78 EX_CONFIG: a configuration file is wrong
  CONFIG_UNREADABLE: 78,
  CONFIG_SYNTAX: 78,
  CONFIG_UNKNOWN_NAME: 78,
  // 130 and 143 as shells report SIGINT and SIGTERM
  ABORTED: 130,
  TERMINATED: 143,
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface AwlErrorOptions {
  /** What the user can do about it, in plain words. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/** The one error class: a stable code, its exit status, a sentence that names the thing, a hint that names the cure. */
export class AwlError extends Error {
  readonly code: ErrorCode;
  readonly exitCode: number;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: AwlErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AwlError';
    this.code = code;
    this.exitCode = ERROR_CODES[code];
    this.hint = options.hint;
  }
}

/** True for an {@link AwlError}, narrowed to one of the given codes if any are named. */
export function isAwlError(error: unknown, ...codes: ErrorCode[]): error is AwlError {
  return error instanceof AwlError && (codes.length === 0 || codes.includes(error.code));
}

/** The text of any thrown value, for messages and logs. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
