import { ERROR_CODES, type ErrorCode } from '../errors.js';

/** What each exit status stands for; names are those of sysexits.h. */
const STATUSES: Readonly<Record<number, readonly [name: string, meaning: string]>> = {
  0: ['', 'success; also a second acceptor for the same application and host, and help'],
  64: ['EX_USAGE', 'usage: the command line is wrong'],
  65: ['EX_DATAERR', 'data: a message or file holds something it must not'],
  68: ['EX_NOHOST', 'peer did not answer: the invitation was sent, but no answer came in time'],
  69: [
    'EX_UNAVAILABLE',
    'rendezvous or relay unreachable: it cannot be reached, or refuses us; awl status: no awl is running',
  ],
  70: ['EX_SOFTWARE', 'a mistake in awl itself'],
  71: ['EX_OSERR', 'payload failed: the program could not be started'],
  73: ['EX_CANTCREAT', 'a file or folder cannot be made or written'],
  74: ['EX_IOERR', 'own network: no STUN server answers, or the local address cannot be had'],
  75: [
    'EX_TEMPFAIL',
    'handshake timeout: both sides are there, but no datagram came through in time; or the path broke later',
  ],
  76: [
    'EX_PROTOCOL',
    'NAT pair impossible: these two NATs cannot be punched; or the peer refuses the tunnel',
  ],
  77: ['EX_NOPERM', 'identity: missing, unsafe or unusable'],
  78: ['EX_CONFIG', 'configuration: a configuration file is wrong'],
  130: ['', 'stopped by SIGINT before the end'],
  143: ['', 'stopped by SIGTERM before the end'],
};

/** What each diagnosis means. Exhaustive: a new code does not compile without its line here. */
const MEANINGS: Readonly<Record<ErrorCode, string>> = {
  USAGE_UNKNOWN_OPTION: 'no option has that name, or several begin like it',
  USAGE_UNKNOWN_COMMAND: 'no command has that name, or a word is neither option nor value',
  USAGE_BAD_VALUE: 'an option has a value that it cannot have',
  USAGE_MISSING: 'an option, or the value of one, is missing',
  USAGE_CONFLICT: 'two options exclude each other; the message names both',
  MESSAGE_MALFORMED: 'a message or received file is not what it should be',
  MESSAGE_TOO_LARGE: 'a message exceeds the size cap',
  MESSAGE_NOT_PINNED: 'a message was not signed by the pinned certificate',
  MESSAGE_UNDECRYPTABLE: 'a message was encrypted for another key',
  MESSAGE_PLAINTEXT: 'a message is not sealed, and --allow-plaintext was not given',
  MESSAGE_STALE: 'a message is too old, or from the future; compare both clocks',
  MESSAGE_REPLAYED: 'a message was seen before',
  MESSAGE_MISDIRECTED: 'a message is for another recipient, application or invitation',
  MESSAGE_UNSUPPORTED: 'a message uses a version or method that awl does not know',
  ADDRESS_REFUSED: 'the peer named an address that awl does not send to; see --allow-private',
  TERMS_UNMET: 'what both sides ask for in --app-qos does not fit, or not through their NATs',
  PEER_NO_ANSWER: 'the peer did not answer; with --once: nobody came',
  RENDEZVOUS_UNREACHABLE: 'the mail servers or the folder cannot be reached',
  RENDEZVOUS_REFUSED: 'the mail servers refuse the login or the message',
  RENDEZVOUS_UNTRUSTED: 'the certificate of a mail server cannot be verified; see --email-ca',
  RELAY_UNREACHABLE: 'the relay of --relay-server, or the one that the peer names, does not answer',
  RELAY_REFUSED: 'the relay does not serve this identity, or the peer does not use one',
  NOT_RUNNING: 'awl status found no running awl of this user',
  MEEPO_UNAVAILABLE: 'no Meepo daemon answers, or the other node cannot be reached',
  INTERNAL: 'something that should not happen; please report it',
  PAYLOAD_START: 'the program cannot be started; see --exec-command, --exec-pwd, --exec-log',
  FILE_EXISTS: 'a file that would be written is there already',
  FILE_WRITE: 'a file or folder cannot be written',
  STUN_UNREACHABLE: 'no STUN server answered',
  UDP_BIND: 'the local UDP address or port cannot be had; see --stun-client',
  TUNNEL_BIND: 'the local end of an --import is taken or cannot be had',
  TCP_BIND: 'the local TCP address or port that a tunnel or --metrics listens on cannot be had',
  HANDSHAKE_TIMEOUT: 'both sides tried, but no datagram came through',
  LIMIT_REACHED: 'too many sessions at once, or too many failures of one peer',
  TUNNEL_LOST: 'the tunnel stood, and then the peer or the path to it was gone',
  TUNNEL_FORGOTTEN: 'awl was started anew on the other side, and the connection of --stdio cannot go on',
  NAT_IMPOSSIBLE: 'what both sides measured cannot be punched',
  TUNNEL_REFUSED: 'the peer runs no tunnel, or does not open what --stdio names',
  MEEPO_REFUSED: 'the daemon or the other Meepo node refuses; the message has its words',
  IDENTITY_NAME: 'a name is not OWNER/PIN of allowed characters',
  IDENTITY_MISSING: 'an identity, or a file of it, is not in the repository',
  IDENTITY_UNSAFE: 'others can read or replace a key; the message says how to cure it',
  IDENTITY_INVALID: 'a key or certificate cannot be used',
  IDENTITY_EXPIRED: 'a certificate is not valid at this time',
  IDENTITY_UNTRUSTED: 'a certificate is not signed by the ca.crt beside it',
  CONFIG_UNREADABLE: 'a file that an option names cannot be read',
  CONFIG_SYNTAX: 'a line of the configuration file is wrong; the message has its number',
  CONFIG_UNKNOWN_NAME: 'a line of the configuration file names no option',
  ABORTED: 'SIGINT came, or nobody reads standard output any more',
  TERMINATED: 'SIGTERM came',
};

export interface ExitStatus {
  readonly status: number;
  /** Name in sysexits.h, if it has one. */
  readonly name: string;
  readonly meaning: string;
  readonly codes: readonly (readonly [code: string, meaning: string])[];
}

/** Every exit status with the diagnoses that lead to it, in rising order. */
export function exitStatuses(): ExitStatus[] {
  const codes = Object.keys(ERROR_CODES) as ErrorCode[];
  const statuses = new Set<number>([...Object.keys(STATUSES).map(Number), ...Object.values(ERROR_CODES)]);
  return [...statuses]
    .sort((a, b) => a - b)
    .map((status) => {
      const [name = '', meaning = ''] = STATUSES[status] ?? [];
      const leading = codes.filter((code) => ERROR_CODES[code] === status);
      return { status, name, meaning, codes: leading.map((code) => [code, MEANINGS[code]] as const) };
    });
}

/** 0 if no check failed, else the exit status of the gravest failure. */
export function gravestStatus(checks: readonly { readonly code?: ErrorCode }[]): number {
  return Math.max(0, ...checks.map(({ code }) => (code ? ERROR_CODES[code] : 0)));
}
