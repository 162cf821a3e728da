import { AwlError } from '../errors.js';

/**
 * The part of ASN.1 that sealed messages need (X.690): a bounded BER reader, a DER writer.
 * Own code because the OID of our extension has a 128-bit arc, which node-forge cannot write or read, and because
 * depth must be bounded in the very parser that descends.
 */
export interface Asn1 {
  /** The identifier octet: class, constructed bit and number (numbers above 30 are refused). */
  readonly tag: number;
  /** Content octets of a primitive value; empty if constructed. */
  readonly value: Buffer;
  /** Members of a constructed value; empty if primitive. */
  readonly children: readonly Asn1[];
  /** The whole encoding, as it came. */
  readonly raw: Buffer;
}

export const TAG = {
  INTEGER: 0x02,
  OCTET_STRING: 0x04,
  NULL: 0x05,
  OID: 0x06,
  UTF8_STRING: 0x0c,
  UTC_TIME: 0x17,
  GENERALIZED_TIME: 0x18,
  SEQUENCE: 0x30,
  SET: 0x31,
} as const;

const CONSTRUCTED = 0x20;
/** EnvelopedData reaches 10 levels, certificates inside a SignedData 10. */
const MAX_DEPTH = 16;
const MAX_NODES = 8192;

/** Context-specific, constructed: `[n] EXPLICIT`, or IMPLICIT of something constructed. */
export function contextTag(n: number): number {
  return 0xa0 | n;
}

export function malformedAsn1(what: string): AwlError {
  return new AwlError('MESSAGE_MALFORMED', `the message is not well-formed ASN.1: ${what}`);
}

/**
 * Reads one BER value that fills `bytes`; definite and indefinite lengths.
 * @throws AwlError MESSAGE_MALFORMED, also when deeper than 16 levels or of more than 8192 values
 */
export function readBer(bytes: Buffer): Asn1 {
  let nodes = 0;
  const [node, end] = read(0, bytes.length, 0);
  if (end !== bytes.length) throw malformedAsn1('bytes after the end');
  return node;

  function read(start: number, limit: number, depth: number): [Asn1, number] {
    if (depth >= MAX_DEPTH) throw malformedAsn1(`nested deeper than ${MAX_DEPTH}`);
    if (++nodes > MAX_NODES) throw malformedAsn1(`more than ${MAX_NODES} values`);
    const tag = octet(start, limit);
    if ((tag & 0x1f) === 0x1f) throw malformedAsn1('a tag number above 30');
    const { length, at } = readLength(start + 1, limit);
    if (length !== undefined && length > limit - at) throw malformedAsn1('a value longer than its container');
    if ((tag & CONSTRUCTED) === 0) {
      if (length === undefined) throw malformedAsn1('a primitive value without length');
      const end = at + length;
      return [{ tag, value: bytes.subarray(at, end), children: [], raw: bytes.subarray(start, end) }, end];
    }
    const stop = length === undefined ? limit : at + length;
    const children: Asn1[] = [];
    let next = at;
    for (;;) {
      if (length !== undefined && next === stop) break;
      if (length === undefined && octet(next, stop) === 0 && octet(next + 1, stop) === 0) {
        next += 2;
        break;
      }
      const [child, end] = read(next, stop, depth + 1);
      children.push(child);
      next = end;
    }
    return [{ tag, value: Buffer.alloc(0), children, raw: bytes.subarray(start, next) }, next];
  }

  function octet(at: number, limit: number): number {
    const value = at < limit ? bytes[at] : undefined;
    if (value === undefined) throw malformedAsn1('it ends too early');
    return value;
  }

  function readLength(start: number, limit: number): { length: number | undefined; at: number } {
    const first = octet(start, limit);
    if (first === 0x80) return { length: undefined, at: start + 1 };
    if (first < 0x80) return { length: first, at: start + 1 };
    const count = first & 0x7f;
    if (count > 4) throw malformedAsn1('a length above 4 octets');
    let length = 0;
    for (let i = 1; i <= count; i++) length = length * 256 + octet(start + i, limit);
    return { length, at: start + 1 + count };
  }
}

/** The members of a constructed value. @throws AwlError MESSAGE_MALFORMED unless `node` has the tag */
export function members(node: Asn1 | undefined, tag: number, what: string): readonly Asn1[] {
  if (node?.tag !== tag) throw malformedAsn1(`${what} expected`);
  return node.children;
}

/** The octets of a primitive value. @throws AwlError MESSAGE_MALFORMED unless `node` has the tag */
export function octets(node: Asn1 | undefined, tag: number, what: string): Buffer {
  if (node?.tag !== tag) throw malformedAsn1(`${what} expected`);
  return node.value;
}

/**
 * An OCTET STRING under any tag, primitive or in BER chunks (X.690 section 8.7.3); chunks are not nested further.
 * @throws AwlError MESSAGE_MALFORMED
 */
export function octetString(node: Asn1 | undefined, tag: number, what: string): Buffer {
  if (node?.tag === tag) return node.value;
  const chunks = members(node, tag | CONSTRUCTED, what);
  return Buffer.concat(chunks.map((chunk) => octets(chunk, TAG.OCTET_STRING, what)));
}

/** True if `node` is an OBJECT IDENTIFIER with the given encoding (as from {@link encodeOid}). */
export function isOid(node: Asn1 | undefined, oid: Buffer): boolean {
  return node?.raw.equals(oid) === true;
}

/** One DER value: tag, shortest length, contents one after another. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const length = contents.reduce((sum, part) => sum + part.length, 0);
  const head = [tag];
  if (length < 0x80) head.push(length);
  else {
    const size: number[] = [];
    for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) size.unshift(rest % 256);
    head.push(0x80 | size.length, ...size);
  }
  return Buffer.concat([Buffer.from(head), ...contents]);
}

export function sequence(...contents: readonly Uint8Array[]): Buffer {
  return der(TAG.SEQUENCE, ...contents);
}

/** SET OF: members in the order of their encodings, X.690 section 11.6. */
export function setOf(...contents: readonly Uint8Array[]): Buffer {
  return der(TAG.SET, ...[...contents].sort(Buffer.compare));
}

/** A non-negative INTEGER below 128: version numbers. */
export function smallInteger(n: number): Buffer {
  return der(TAG.INTEGER, Buffer.from([n]));
}

/** The DER of a dotted OBJECT IDENTIFIER; arcs of any size. */
export function encodeOid(dotted: string): Buffer {
  const [first = 0n, second = 0n, ...rest] = dotted.split('.').map(BigInt);
  const contents = [first * 40n + second, ...rest].flatMap((arc) => {
    const groups = [Number(arc & 0x7fn)];
    for (let left = arc >> 7n; left > 0n; left >>= 7n) groups.unshift(Number(left & 0x7fn) | 0x80);
    return groups;
  });
  return der(TAG.OID, Buffer.from(contents));
}

/** UTCTime until 2049, GeneralizedTime after; whole seconds, UTC (RFC 5652 section 11.3). */
export function encodeTime(date: Date): Buffer {
  const digits = `${date.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`;
  const year = date.getUTCFullYear();
  if (year >= 1950 && year < 2050) return der(TAG.UTC_TIME, Buffer.from(digits.slice(2)));
  return der(TAG.GENERALIZED_TIME, Buffer.from(digits));
}

/** Reads what {@link encodeTime} writes. @throws AwlError MESSAGE_MALFORMED */
export function decodeTime(node: Asn1 | undefined): Date {
  const text = node?.value.toString('latin1') ?? '';
  let full = '';
  if (node?.tag === TAG.UTC_TIME && /^\d{12}Z$/.test(text))
    full = (Number(text.slice(0, 2)) < 50 ? '20' : '19') + text;
  if (node?.tag === TAG.GENERALIZED_TIME && /^\d{14}Z$/.test(text)) full = text;
  const iso = full.replace(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z');
  const date = new Date(iso);
  // Date takes 31 February for 3 March; a signer that writes such a day does not know the time.
  if (Number.isNaN(date.getTime()) || date.toISOString().replace('.000', '') !== iso) {
    throw malformedAsn1('the signing time cannot be read');
  }
  return date;
}
