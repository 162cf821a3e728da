import { AwlError } from '../errors.js';

/** `owner/pin`: owner is the mail address for e-mail, pin tells the owner's machines apart. */
export interface IdentityName {
  readonly owner: string;
  readonly pin: string;
}

/** A name of which parts may be left open; plexus' `/` leaves both open (spec a.1). */
export interface PartialName {
  readonly owner?: string;
  readonly pin?: string;
}

/** The files of an identity's folder (spec b). */
export const CERTIFICATE_FILE = 'cert.crt';
export const KEY_FILE = 'private.key';
export const CA_FILE = 'ca.crt';

// RELIABILITY section 4: what a name may hold wherever it comes from; it becomes a path, a header and an argument.
const PART = /^[A-Za-z0-9_@+][A-Za-z0-9._@+-]{0,63}$/;

/** True if `text` may be an owner or a pin: `[A-Za-z0-9._@+-]{1,64}`, no leading `-` or `.`. */
export function isNamePart(text: string): boolean {
  // Callers without types may hand over what merely turns into a name when it is tested.
  return typeof text === 'string' && PART.test(text);
}

function split(text: string): [string, string] {
  const match = /^([^/]*)\/([^/]*)$/.exec(text);
  if (!match) {
    throw new AwlError('IDENTITY_NAME', `"${text}" is not owner/pin`, {
      hint: 'write it as owner/pin, for example me@example.org/laptop',
    });
  }
  const parts: [string, string] = [match[1] ?? '', match[2] ?? ''];
  for (const part of parts) {
    if (part !== '' && !isNamePart(part)) {
      throw new AwlError('IDENTITY_NAME', `"${part}" cannot be an owner or a pin`, {
        hint: 'use 1 to 64 of the characters A-Z a-z 0-9 . _ @ + - and do not begin with "-" or "."',
      });
    }
  }
  return parts;
}

/** @throws AwlError IDENTITY_NAME unless both parts are there and well-formed */
export function parseName(text: string): IdentityName {
  const [owner, pin] = split(text);
  if (!owner || !pin) {
    throw new AwlError('IDENTITY_NAME', `"${text}" lacks its ${owner ? 'pin' : 'owner'}`, {
      hint: 'write it as owner/pin, for example me@example.org/laptop',
    });
  }
  return { owner, pin };
}

/** Like {@link parseName}, but either part may be empty. */
export function parsePartialName(text: string): PartialName {
  const [owner, pin] = split(text);
  return { ...(owner && { owner }), ...(pin && { pin }) };
}

export function isComplete(name: PartialName): name is IdentityName {
  return Boolean(name.owner && name.pin);
}

export function formatName(name: PartialName): string {
  return `${name.owner ?? ''}/${name.pin ?? ''}`;
}

/** True if `name` has every part that `pattern` names. Owners are compared exactly, as plexus 3.4 does. */
export function matchesName(name: IdentityName, pattern: PartialName): boolean {
  return (
    (pattern.owner === undefined || pattern.owner === name.owner) &&
    (pattern.pin === undefined || pattern.pin === name.pin)
  );
}
