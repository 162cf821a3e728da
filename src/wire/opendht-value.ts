import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { AwlError } from '../errors.js';
import { decodeMsgpack, encodeMsgpack, Packed, splitMap } from './msgpack.js';

/** Node ids and keys are SHA-1 digests. */
export const HASH_BYTES = 20;
/** The largest value that nodes store (spec opendht 5). */
export const VALUE_MAX_BYTES = 64 * 1024;
/** USER_DATA, the type of plexus' values. */
const USER_DATA = 0;
const U16_MAX = 0xffff;

/** A value as nodes keep it: `dat` is the msgpack of what its owner made, byte for byte. */
export interface DhtValue {
  /** 1 to 2^64-1; not covered by the signature. */
  readonly id: bigint;
  readonly dat: Buffer;
}

/** The signed part of a value (spec opendht 5). */
export interface DhtBody {
  /** DER SubjectPublicKeyInfo of who signed. */
  readonly owner: Buffer;
  readonly data: Buffer;
  /** Free text of the owner, in clear. */
  readonly userType?: string;
}

/** A `dat` taken apart; nothing is verified yet. */
export interface SignedDat extends DhtBody {
  /** The bytes that the signature covers. */
  readonly body: Buffer;
  readonly signature: Buffer;
}

function malformed(what: string): AwlError {
  return new AwlError('MESSAGE_MALFORMED', `not an OpenDHT value of ours: ${what}`);
}

/** Id of an identity: SHA-1 of its DER SubjectPublicKeyInfo (spec d). */
export function identityId(publicKeyInfo: Uint8Array): Buffer {
  return createHash('sha1').update(publicKeyInfo).digest();
}

/** Where the letters to a recipient lie: SHA-1 of hex id, app id and subject, one after the other (spec d). */
export function letterKey(recipientKeyInfo: Uint8Array, app: string, subject: string): Buffer {
  const text = `${identityId(recipientKeyInfo).toString('hex')}${app}${subject}`;
  return createHash('sha1').update(text).digest();
}

/** The msgpack map `{id, dat}` that `put` carries. */
export function encodeValue({ id, dat }: DhtValue): Buffer {
  return encodeMsgpack({ id, dat: new Packed(dat) });
}

/** @throws AwlError MESSAGE_MALFORMED, MESSAGE_TOO_LARGE */
export function decodeValue(bytes: Buffer): DhtValue {
  if (bytes.length > VALUE_MAX_BYTES)
    throw new AwlError('MESSAGE_TOO_LARGE', `an OpenDHT value of ${bytes.length} bytes`);
  const members = splitMap(bytes);
  const id = decodeMsgpack(member(members, 'id'));
  if ((typeof id !== 'number' && typeof id !== 'bigint') || id <= 0)
    throw malformed('its id is no positive number');
  return { id: BigInt(id), dat: member(members, 'dat') };
}

/** A signed `dat`: RSASSA-PKCS1-v1_5 with SHA-512 over the msgpack of the body, keys in OpenDHT's order. */
export function signDat(
  { owner, data, userType }: DhtBody,
  key: KeyObject,
): { readonly dat: Buffer; readonly body: Buffer } {
  const body = encodeMsgpack({
    seq: 0,
    owner,
    type: USER_DATA,
    data,
    utype: userType === undefined || userType === '' ? undefined : userType,
  });
  return { dat: encodeMsgpack({ body: new Packed(body), sig: sign('sha512', body, key) }), body };
}

/**
 * Reads a signed `dat` of user data; encrypted values ("cypher") and other types are not ours.
 * @throws AwlError MESSAGE_MALFORMED
 */
export function decodeDat(dat: Buffer): SignedDat {
  const members = splitMap(dat);
  const body = member(members, 'body');
  const fields = splitMap(body);
  if (decodeMsgpack(member(fields, 'type')) !== USER_DATA) throw malformed('it is not user data');
  const seq = decodeMsgpack(member(fields, 'seq'));
  if (typeof seq !== 'number' || seq > U16_MAX) throw malformed('its seq is no number');
  const type = fields.get('utype');
  const userType = type && decodeMsgpack(type);
  if (userType !== undefined && typeof userType !== 'string') throw malformed('its utype is no text');
  return {
    body,
    owner: blob(fields, 'owner'),
    data: blob(fields, 'data'),
    signature: blob(members, 'sig'),
    ...(userType !== undefined && { userType }),
  };
}

/** True if the owner's key made the signature over exactly these bytes; false for whatever is wrong with either. */
export function isSigned({ owner, body, signature }: SignedDat): boolean {
  try {
    const key = createPublicKey({ key: owner, format: 'der', type: 'spki' });
    return key.asymmetricKeyType === 'rsa' && verify('sha512', body, key, signature);
  } catch {
    return false;
  }
}

function member(members: ReadonlyMap<string, Buffer>, name: string): Buffer {
  const found = members.get(name);
  if (!found) throw malformed(`it has no ${name}`);
  return found;
}

function blob(members: ReadonlyMap<string, Buffer>, name: string): Buffer {
  const value = decodeMsgpack(member(members, name));
  if (!Buffer.isBuffer(value)) throw malformed(`its ${name} is not binary`);
  return value;
}
