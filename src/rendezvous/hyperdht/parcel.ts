import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { MESSAGE_MAX_BYTES } from '../../constants.js';
import { type IdentityName, isNamePart } from '../../identity/names.js';
import type { LetterForm, LetterKind } from '../types.js';
import { compact, expand } from './compact.js';

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const FORMS: readonly LetterForm[] = ['smime', 'plain'];

/** What a box holds: the sealed bytes and, in invitations, the names that the sender claims. */
export interface Parcel {
  readonly form: LetterForm;
  readonly bytes: Uint8Array;
  readonly names?: { readonly from: IdentityName; readonly to: IdentityName };
}

/**
 * Nonce (12 bytes), AES-256-GCM, tag (16 bytes); the kind is authenticated with it. Inside: one byte form, in
 * invitations four names of one length byte each (sender's owner and pin, recipient's), and the compact sealed bytes.
 */
export function wrapParcel(key: Buffer, kind: LetterKind, parcel: Parcel): Buffer {
  const { form, bytes, names } = parcel;
  const plain = Buffer.concat([
    Buffer.from([FORMS.indexOf(form)]),
    ...(names ? [names.from.owner, names.from.pin, names.to.owner, names.to.pin].map(text) : []),
    compact(bytes),
  ]);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce).setAAD(Buffer.from(kind));
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** Opens what {@link wrapParcel} made for this key and kind; undefined for everything else. */
export function openParcel(key: Buffer, kind: LetterKind, box: Buffer): Parcel | undefined {
  if (box.length < NONCE_BYTES + TAG_BYTES) return undefined;
  const decipher = createDecipheriv(CIPHER, key, box.subarray(0, NONCE_BYTES)).setAAD(Buffer.from(kind));
  decipher.setAuthTag(box.subarray(-TAG_BYTES));
  try {
    const plain = Buffer.concat([decipher.update(box.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
    return read(plain, kind);
  } catch {
    return undefined;
  }
}

function text(name: string): Buffer {
  const bytes = Buffer.from(name, 'latin1');
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

function read(plain: Buffer, kind: LetterKind): Parcel | undefined {
  const form = FORMS[plain[0] ?? -1];
  let at = 1;
  const name = (): string => {
    const end = at + 1 + (plain[at] ?? 0);
    const part = plain.toString('latin1', at + 1, end);
    at = end;
    return part;
  };
  const parts = kind === 'invite' ? [name(), name(), name(), name()] : [];
  const bytes = expand(plain.subarray(at));
  if (!form || !bytes || bytes.length === 0 || bytes.length > MESSAGE_MAX_BYTES) return undefined;
  if (kind === 'accept') return { form, bytes };
  if (!parts.every(isNamePart)) return undefined;
  const [fromOwner = '', fromPin = '', toOwner = '', toPin = ''] = parts;
  return {
    form,
    bytes,
    names: { from: { owner: fromOwner, pin: fromPin }, to: { owner: toOwner, pin: toPin } },
  };
}
