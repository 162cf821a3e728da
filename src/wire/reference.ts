import { isIP } from 'node:net';
import { AwlError } from '../errors.js';
import type { Endpoint } from '../util/endpoint.js';

/** What one side tells the other: where it can be reached, and its half of the secret. */
export interface Reference {
  readonly endpoint: Endpoint;
  /** Random u64; the secret of a session is the XOR of both sides' puzzles (spec f). */
  readonly puzzle: bigint;
}

/** The longest honest text is a 3.4 reference of about 200 characters. */
const REFERENCE_MAX_CHARS = 1024;
const U64_MAX = 0xffff_ffff_ffff_ffffn;
/** Fields of the newer texts, spec c.1: PLEXUS and version included. */
const NEWER_FORMS: Readonly<Record<string, number>> = { '3.3': 9, '3.4': 13 };

function malformed(what: string): AwlError {
  return new AwlError('MESSAGE_MALFORMED', `the message is not a plexus reference: ${what}`, {
    hint: 'the other side runs something else under this app id, or a program on the way changed the text',
  });
}

function unsupported(version: string, wish: string): AwlError {
  return new AwlError('MESSAGE_UNSUPPORTED', `the peer writes PLEXUS ${version}${wish}, awl speaks 3.0`, {
    hint: 'start the plexus there with --app-qos=udp:either and --udp-route=direct; it then writes 3.0',
  });
}

/** `PLEXUS 3.0 <ip> <port> <puzzle>`, decimal, no newline (spec c.1). */
export function encodeReference({ endpoint, puzzle }: Reference): string {
  const text = `PLEXUS 3.0 ${endpoint.address} ${endpoint.port} ${puzzle}`;
  decodeReference(text);
  return text;
}

/**
 * Reads a 3.0 text as plexus 3.4 does: any white space between and around the fields (spec c.1).
 * @throws AwlError MESSAGE_MALFORMED; MESSAGE_UNSUPPORTED for 3.3 and 3.4 texts, naming what the peer asks for
 */
export function decodeReference(text: string): Reference {
  if (text.length > REFERENCE_MAX_CHARS) throw malformed(`${text.length} characters`);
  const fields = text.split(/[ \t\r\n\f\v]+/).filter((field) => field !== '');
  const [magic, version = '', address = '', port = '', puzzle = ''] = fields;
  if (magic !== 'PLEXUS' || !/^\d{1,3}\.\d{1,3}$/.test(version))
    throw malformed('it does not begin with PLEXUS');
  if (version !== '3.0') {
    // The quality of service is the last field but one; it is the reason why plexus chose the newer form.
    const qos = fields.length === NEWER_FORMS[version] ? fields.at(-2) : undefined;
    const known = qos && /^(?:udp|tcp|ssl|any):(?:client|server|mutual|either)$/.test(qos);
    throw unsupported(version, known ? ` (it asks for ${qos})` : '');
  }
  if (fields.length !== 5) throw malformed(`${fields.length} fields instead of 5`);
  if (isIP(address) === 0 || address.includes('%')) throw malformed('the address is not an IP address');
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65535) {
    throw malformed('the port is not a number from 1 to 65535');
  }
  if (!/^\d{1,20}$/.test(puzzle) || BigInt(puzzle) > U64_MAX)
    throw malformed('the puzzle is not a 64-bit number');
  return { endpoint: { address, port: Number(port) }, puzzle: BigInt(puzzle) };
}
