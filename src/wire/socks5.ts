import { isIP } from 'node:net';
import { AwlError } from '../errors.js';
import { addressToBytes, bytesToAddress } from '../util/ip-bytes.js';

/**
 * SOCKS version 5 (RFC 1928) with user name and password (RFC 1929), both roles. Readers take what arrived so far:
 * they answer undefined until a message is whole, its length in octets with it then, and throw where it cannot
 * become one.
 */
export const SOCKS5_METHODS = { none: 0, password: 2, unacceptable: 0xff } as const;
export const SOCKS5_COMMANDS = { connect: 1, bind: 2, associate: 3 } as const;
export const SOCKS5_REPLIES = {
  succeeded: 0,
  failed: 1,
  forbidden: 2,
  networkUnreachable: 3,
  hostUnreachable: 4,
  refused: 5,
  expired: 6,
  commandUnsupported: 7,
  addressUnsupported: 8,
} as const;
export type Socks5Reply = keyof typeof SOCKS5_REPLIES;

/** Where to: an address or a name that the far side looks up. */
export interface Socks5Address {
  readonly host: string;
  readonly port: number;
}

/** A message and how many octets it took. */
export type Read<T> = T & { readonly length: number };

const VERSION = 5;
const AUTH_VERSION = 1;
const KINDS = { ipv4: 1, name: 3, ipv6: 4 } as const;
const UNSPECIFIED: Socks5Address = { host: '0.0.0.0', port: 0 };

/** Client's first word: `05 n method*n`. */
export function readGreeting(bytes: Uint8Array): Read<{ readonly methods: readonly number[] }> | undefined {
  checkVersion(bytes[0], VERSION);
  const count = bytes[1];
  if (count === undefined || bytes.length < 2 + count) return undefined;
  return { methods: [...bytes.subarray(2, 2 + count)], length: 2 + count };
}

export function encodeGreeting(methods: readonly number[]): Buffer {
  return Buffer.from([VERSION, methods.length, ...methods]);
}

/** The server's choice: `05 method`. */
export function encodeChoice(method: number): Buffer {
  return Buffer.from([VERSION, method]);
}

export function readChoice(bytes: Uint8Array): Read<{ readonly method: number }> | undefined {
  checkVersion(bytes[0], VERSION);
  const method = bytes[1];
  return method === undefined ? undefined : { method, length: 2 };
}

/** RFC 1929: `01 n user m password`. */
export function readCredentials(
  bytes: Uint8Array,
): Read<{ readonly user: string; readonly password: string }> | undefined {
  checkVersion(bytes[0], AUTH_VERSION);
  const user = readShort(bytes, 1);
  const password = user && readShort(bytes, user.end);
  if (!password) return undefined;
  return { user: user.text, password: password.text, length: password.end };
}

/** @throws RangeError if either is longer than 255 octets */
export function encodeCredentials(user: string, password: string): Buffer {
  return Buffer.concat([Buffer.from([AUTH_VERSION]), short(user), short(password)]);
}

/** `01 status`; 0 is success. */
export function encodeCredentialsAnswer(accepted: boolean): Buffer {
  return Buffer.from([AUTH_VERSION, accepted ? 0 : 1]);
}

export function readCredentialsAnswer(bytes: Uint8Array): Read<{ readonly accepted: boolean }> | undefined {
  checkVersion(bytes[0], AUTH_VERSION);
  return bytes[1] === undefined ? undefined : { accepted: bytes[1] === 0, length: 2 };
}

/** `05 command 00 kind address port`. A kind that is no address is told apart, as it has a reply of its own. */
export function readRequest(
  bytes: Uint8Array,
): Read<{ readonly command: number; readonly to: Socks5Address | undefined }> | undefined {
  checkVersion(bytes[0], VERSION);
  const [, command, , kind] = bytes;
  if (command === undefined || kind === undefined) return undefined;
  if (!isKind(kind)) return { command, to: undefined, length: bytes.length };
  const address = readAddress(bytes, 3);
  return address && { command, to: address.to, length: address.end };
}

/** @throws RangeError if the name is longer than 255 octets */
export function encodeRequest(command: keyof typeof SOCKS5_COMMANDS, to: Socks5Address): Buffer {
  return Buffer.concat([Buffer.from([VERSION, SOCKS5_COMMANDS[command], 0]), encodeAddress(to)]);
}

/** `05 reply 00 kind address port`; the address is where the server's own end is. */
export function encodeReply(reply: Socks5Reply, bound: Socks5Address = UNSPECIFIED): Buffer {
  return Buffer.concat([Buffer.from([VERSION, SOCKS5_REPLIES[reply], 0]), encodeAddress(bound)]);
}

export function readReply(
  bytes: Uint8Array,
): Read<{ readonly reply: number; readonly bound: Socks5Address }> | undefined {
  checkVersion(bytes[0], VERSION);
  const [, reply, , kind] = bytes;
  if (reply === undefined || kind === undefined) return undefined;
  if (!isKind(kind)) throw malformed(`names an address of kind ${kind}`);
  const address = readAddress(bytes, 3);
  return address && { reply, bound: address.to, length: address.end };
}

/**
 * A relayed datagram: `00 00 fragment kind address port payload`.
 * @returns undefined for fragments, which a relay may drop, and for everything malformed
 */
export function readSocksDatagram(
  bytes: Uint8Array,
): { readonly to: Socks5Address; readonly payload: Uint8Array } | undefined {
  const [first, second, fragment, kind] = bytes;
  if (first !== 0 || second !== 0 || fragment !== 0 || kind === undefined || !isKind(kind)) return undefined;
  const address = readAddress(bytes, 3);
  return address && { to: address.to, payload: bytes.subarray(address.end) };
}

export function encodeSocksDatagram(from: Socks5Address, payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.alloc(3), encodeAddress(from), payload]);
}

function isKind(kind: number): boolean {
  return kind === KINDS.ipv4 || kind === KINDS.name || kind === KINDS.ipv6;
}

function readAddress(
  bytes: Uint8Array,
  at: number,
): { readonly to: Socks5Address; readonly end: number } | undefined {
  const kind = bytes[at];
  const name = kind === KINDS.name ? readShort(bytes, at + 1) : undefined;
  if (kind === KINDS.name && !name) return undefined;
  const end = name?.end ?? at + 1 + (kind === KINDS.ipv4 ? 4 : 16);
  if (bytes.length < end + 2) return undefined;
  const host = name?.text ?? bytesToAddress(bytes.subarray(at + 1, end));
  return { to: { host, port: ((bytes[end] ?? 0) << 8) | (bytes[end + 1] ?? 0) }, end: end + 2 };
}

function encodeAddress({ host, port }: Socks5Address): Buffer {
  const family = isIP(host);
  const kind = family === 4 ? KINDS.ipv4 : family === 6 ? KINDS.ipv6 : KINDS.name;
  const end = Buffer.alloc(2);
  end.writeUInt16BE(port);
  return Buffer.concat([Buffer.from([kind]), family === 0 ? short(host) : addressToBytes(host), end]);
}

/** One octet of length and so many of text. */
function readShort(
  bytes: Uint8Array,
  at: number,
): { readonly text: string; readonly end: number } | undefined {
  const length = bytes[at];
  const end = at + 1 + (length ?? 0);
  if (length === undefined || bytes.length < end) return undefined;
  return { text: Buffer.from(bytes.subarray(at + 1, end)).toString('latin1'), end };
}

function short(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  if (bytes.length > 255) throw new RangeError(`"${text.slice(0, 64)}" is longer than 255 octets`);
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

function checkVersion(found: number | undefined, wanted: number): void {
  if (found !== undefined && found !== wanted) throw malformed(`begins with ${found} instead of ${wanted}`);
}

function malformed(what: string): AwlError {
  return new AwlError('MESSAGE_MALFORMED', `a message of SOCKS ${what}`, {
    hint: 'the program must speak SOCKS version 5',
  });
}
