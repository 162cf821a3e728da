import { isIP } from 'node:net';
import { AwlError } from '../errors.js';
import type { Endpoint } from '../util/endpoint.js';
import { decodeTerms, encodeTerms, isTime, type Terms } from './reference-terms.js';

/** What one side tells the other: where it can be reached, and its half of the secret. */
export interface Reference {
  /** For UDP; 0.0.0.0:0 where a newer text says that there is none. */
  readonly endpoint: Endpoint;
  /** Random u64; the secret of a session is the XOR of both sides' puzzles (spec f). */
  readonly puzzle: bigint;
  /** What the texts 3.3 and 3.4 add; its UDP endpoint is `endpoint`. */
  readonly terms?: Terms;
}

/** The longest honest text is a 3.4 reference of about 300 characters. */
const REFERENCE_MAX_CHARS = 1024;
const U64_MAX = 0xffff_ffff_ffff_ffffn;
/** Fields of the newer texts, spec c.1: PLEXUS, version and puzzle included. */
const NEWER_FIELDS: Readonly<Record<string, number>> = { '3.3': 9, '3.4': 13 };
/** The endpoint of a side that has none for UDP. */
export const NOWHERE: Endpoint = { address: '0.0.0.0', port: 0 };

function malformed(what: string): AwlError {
  return new AwlError('MESSAGE_MALFORMED', `the message is not a plexus reference: ${what}`, {
    hint: 'the other side runs something else under this app id, or a program on the way changed the text',
  });
}

/**
 * `PLEXUS 3.0 <ip> <port> <puzzle>`; with terms the 3.3 text, or the 3.4 one where a route is not direct or a relay
 * is named (spec c.1). Decimal, no newline.
 * @throws AwlError MESSAGE_MALFORMED if our own reader would refuse it
 */
export function encodeReference({ endpoint, puzzle, terms }: Reference): string {
  if (terms && !isTime(terms.time)) throw malformed('the time cannot be written');
  const text = terms ? newer(terms, puzzle) : `PLEXUS 3.0 ${endpoint.address} ${endpoint.port} ${puzzle}`;
  decodeReference(text);
  return text;
}

function newer(terms: Terms, puzzle: bigint): string {
  const { version, fields } = encodeTerms(terms);
  return `PLEXUS ${version} ${fields.join(' ')} ${puzzle}`;
}

/**
 * Reads a 3.0, 3.3 or 3.4 text as plexus 3.4 does: any white space between and around the fields (spec c.1).
 * @throws AwlError MESSAGE_MALFORMED; MESSAGE_UNSUPPORTED for other versions
 */
export function decodeReference(text: string): Reference {
  if (text.length > REFERENCE_MAX_CHARS) throw malformed(`${text.length} characters`);
  const fields = text.split(/[ \t\r\n\f\v]+/).filter((field) => field !== '');
  const [magic, version = '', ...rest] = fields;
  if (magic !== 'PLEXUS' || !/^\d{1,3}\.\d{1,3}$/.test(version))
    throw malformed('it does not begin with PLEXUS');
  if (version === '3.0') return decodeOldest(rest);
  const wanted = NEWER_FIELDS[version];
  if (wanted === undefined) {
    throw new AwlError(
      'MESSAGE_UNSUPPORTED',
      `the peer writes PLEXUS ${version}, awl reads 3.0, 3.3 and 3.4`,
      {
        hint: 'start the plexus there with --app-qos=udp:either and --udp-route=direct; it then writes 3.0',
      },
    );
  }
  if (fields.length !== wanted) throw malformed(`${fields.length} fields instead of ${wanted}`);
  const terms = decodeTerms(rest.slice(0, -1));
  if (typeof terms === 'string') throw malformed(terms);
  return { endpoint: terms.udp.endpoint ?? NOWHERE, puzzle: readPuzzle(rest.at(-1) ?? ''), terms };
}

function decodeOldest(fields: readonly string[]): Reference {
  const [address = '', port = '', puzzle = ''] = fields;
  if (fields.length !== 3) throw malformed(`${fields.length + 2} fields instead of 5`);
  if (isIP(address) === 0 || address.includes('%')) throw malformed('the address is not an IP address');
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65535) {
    throw malformed('the port is not a number from 1 to 65535');
  }
  return { endpoint: { address, port: Number(port) }, puzzle: readPuzzle(puzzle) };
}

function readPuzzle(text: string): bigint {
  if (!/^\d{1,20}$/.test(text) || BigInt(text) > U64_MAX)
    throw malformed('the puzzle is not a 64-bit number');
  return BigInt(text);
}
