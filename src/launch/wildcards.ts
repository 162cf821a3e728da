import { AwlError } from '../errors.js';
import { formatName, type IdentityName, isNamePart } from '../identity/names.js';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';

/** Everything a payload may learn about its passage. */
export interface WildcardValues {
  readonly role: 'accept' | 'invite';
  /** The local endpoint that was punched, for UDP or TCP as `qos` says; free for the payload to bind. */
  readonly inner: Endpoint;
  /** Our endpoint as the outside sees it. */
  readonly outer: Endpoint;
  /** Where the peer really is. */
  readonly peer: Endpoint;
  /** What both sides agreed on, such as `tcp:client`; absent: what two sides agree on that say nothing. */
  readonly qos?: string;
  /** 64 bits, written in decimal as plexus does. */
  readonly secret: bigint;
  readonly hostName: IdentityName;
  readonly peerName: IdentityName;
  /** Paths of the PEM files, as far as they exist. */
  readonly hostCert?: string;
  readonly hostKey?: string;
  readonly peerCert?: string;
  /** 32 bytes from the authenticated key exchange; only between awl peers, only ever handed over by environment. */
  readonly sessionKey?: Uint8Array;
}

/** Where a text is used: file paths of identities are for the environment only, as in plexus 3.4. */
export type Place = 'args' | 'path' | 'env';

/** `udp:server` and `udp:client` is what two peers of message version 3.0 agree on in plexus 3.4, spec g.1. */
export function qosOf({ qos, role }: WildcardValues): string {
  return qos ?? (role === 'accept' ? 'udp:server' : 'udp:client');
}

type Getter = (values: WildcardValues) => string | undefined;

/** Three generations of names (spec a.2, a.4; the first generation's `%hostmail%` and `%peermail%`). */
const EVERYWHERE: Readonly<Record<string, Getter>> = {
  innerip: (v) => v.inner.address,
  innerport: (v) => String(v.inner.port),
  outerip: (v) => v.outer.address,
  outerport: (v) => String(v.outer.port),
  peerip: (v) => v.peer.address,
  peerport: (v) => String(v.peer.port),
  secret: (v) => v.secret.toString(),
  hostpin: (v) => v.hostName.pin,
  peerpin: (v) => v.peerName.pin,
  hostemail: (v) => v.hostName.owner,
  peeremail: (v) => v.peerName.owner,
  hostmail: (v) => v.hostName.owner,
  peermail: (v) => v.peerName.owner,
  inner: (v) => formatEndpoint(v.inner),
  outer: (v) => formatEndpoint(v.outer),
  alien: (v) => formatEndpoint(v.peer),
  hostid: (v) => formatName(v.hostName),
  peerid: (v) => formatName(v.peerName),
  qos: qosOf,
};

const ENVIRONMENT: Readonly<Record<string, Getter>> = {
  ...EVERYWHERE,
  hostcert: (v) => v.hostCert,
  hostkey: (v) => v.hostKey,
  peercert: (v) => v.peerCert,
};

// Longest first is not needed: the closing % settles each name. Known names only, so that in `50%x%inner%` the
// stray percent signs cannot swallow the opening one of a real wildcard.
const pattern = (table: Readonly<Record<string, Getter>>) =>
  new RegExp(`%(${Object.keys(table).join('|')})%`, 'g');
const EVERYWHERE_PATTERN = pattern(EVERYWHERE);
const ENVIRONMENT_PATTERN = pattern(ENVIRONMENT);

/**
 * Puts the values into one token: a single pass, literal, nothing in a value is looked at again. Unknown `%x%` stays
 * as it is; a wildcard that has no value here (a certificate that is not there) becomes empty.
 * The result is one argument, whatever the values hold.
 */
export function substitute(token: string, values: WildcardValues, place: Place = 'args'): string {
  const env = place === 'env';
  const table = env ? ENVIRONMENT : EVERYWHERE;
  return token.replace(env ? ENVIRONMENT_PATTERN : EVERYWHERE_PATTERN, (_match, name: string) => {
    return table[name]?.(values) ?? '';
  });
}

/** True if the text asks for the secret by name. */
export function asksForSecret(text: string): boolean {
  return text.includes('%secret%');
}

/**
 * The last gate before names become arguments and path parts, whoever built the values.
 * `%hostid%` and `%peerid%` are two path parts, every other name is one; none can be `..` or hold a `/` of its own.
 * @throws AwlError IDENTITY_NAME
 */
export function checkNames(values: WildcardValues): void {
  for (const name of [values.hostName, values.peerName]) {
    for (const part of [name.owner, name.pin]) {
      if (isNamePart(part)) continue;
      throw new AwlError(
        'IDENTITY_NAME',
        `${JSON.stringify(part)} cannot be handed to a program as an owner or a pin`,
        {
          hint: 'use 1 to 64 of the characters A-Z a-z 0-9 . _ @ + - and do not begin with "-" or "."',
        },
      );
    }
  }
}
