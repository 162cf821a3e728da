import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { AwlError } from '../../errors.js';
import { encodeMsgpack, type Msgpack, Packed } from '../msgpack.js';
import { malformedMeepo, readBase64, readCount, readMap, readText, sortedMap } from './fields.js';
import { isMeepoId, parseMeepoId } from './id.js';
import { type MeepoKeys, meepoKeys, meepoShared, meepoSign, meepoVerify, signBy } from './keys.js';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** Session descriptions have about 600 bytes; sixteen interfaces with IPv6 still fit. */
export const SDP_MAX_CHARS = 64 * 1024;
const USER_DATA_MAX = 8;

/** What a node sends to open a transport, and what comes back: all values of `UserData` are base64 text. */
export interface Descriptor {
  readonly ID: string;
  readonly UserData: Readonly<Record<string, string>>;
}

/** WebRTC's numbers: 1 offer, 3 answer. */
export type SdpType = 1 | 3;

/** Key and nonce of one offer; Meepo seals the answer with the very same ones. */
export interface OfferSecret {
  readonly key: Buffer;
  readonly nonce: Buffer;
}

/** What the signature covers: the descriptor without `sig`. */
function signedBytes({ ID, UserData }: Descriptor): Buffer {
  const rest: Record<string, Msgpack> = { ...UserData };
  delete rest['sig'];
  return encodeMsgpack({ ID, UserData: new Packed(sortedMap(rest)) });
}

function unsigned({ id }: MeepoKeys, data: Readonly<Record<string, Buffer>>): Descriptor {
  const texts = Object.entries(data).map(([name, bytes]) => [name, bytes.toString('base64')] as const);
  return { ID: id, UserData: Object.fromEntries(texts) };
}

function withSignature({ ID, UserData }: Descriptor, signature: Buffer): Descriptor {
  return { ID, UserData: { ...UserData, sig: signature.toString('base64') } };
}

function signed(keys: MeepoKeys, bare: Descriptor): Descriptor {
  return withSignature(bare, meepoSign(keys.seed, signedBytes(bare)));
}

function seal({ key, nonce }: OfferSecret, type: SdpType, sdp: string): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  const text = encodeMsgpack({ Type: type, SDP: sdp });
  return Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
}

function open({ key, nonce }: OfferSecret, sealed: Buffer, type: SdpType): string {
  if (sealed.length < TAG_BYTES || nonce.length !== NONCE_BYTES)
    throw malformedMeepo('too short to be sealed');
  let plain: Buffer;
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, nonce);
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    plain = Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()]);
  } catch {
    throw malformedMeepo('it cannot be decrypted');
  }
  const map = readMap(plain, 'a session description');
  if (readCount(map.get('Type'), 'the type') !== type) throw malformedMeepo('offer and answer are mixed up');
  return readText(map.get('SDP'), 'the session description', SDP_MAX_CHARS);
}

/** An offer and its secret, which opens the answer. */
export interface SealedOffer {
  readonly descriptor: Descriptor;
  readonly secret: OfferSecret;
}

function unsignedOffer(keys: MeepoKeys, peer: string, sdp: string, to?: Buffer): SealedOffer {
  const once = meepoKeys();
  const key = meepoShared(to ?? parseMeepoId(peer), once.seed);
  const secret = { key, nonce: randomBytes(NONCE_BYTES) };
  const data = {
    ct: seal(secret, 1, sdp),
    nonce: secret.nonce,
    randPubk: once.publicKey,
    ...(to && { awlTo: to }),
  };
  return { descriptor: unsigned(keys, data), secret };
}

/** Seals an offer to `peer` with a key of its own and signs it. */
export function sealOffer(keys: MeepoKeys, peer: string, sdp: string): SealedOffer {
  const { descriptor, secret } = unsignedOffer(keys, peer, sdp);
  return { descriptor: signed(keys, descriptor), secret };
}

/**
 * {@link sealOffer} with a key that may be in an agent.
 * @param to the key that the peer named in the place of its own ({@link StandIn})
 */
export async function sealOfferBy(
  keys: MeepoKeys,
  peer: string,
  sdp: string,
  to?: Buffer,
): Promise<SealedOffer> {
  const { descriptor, secret } = unsignedOffer(keys, peer, sdp, to);
  return { descriptor: withSignature(descriptor, await signBy(keys, signedBytes(descriptor))), secret };
}

/** A descriptor of these values, signed by a key that may be in an agent. */
export async function signDescriptorBy(
  keys: MeepoKeys,
  data: Readonly<Record<string, Buffer>>,
): Promise<Descriptor> {
  const bare = unsigned(keys, data);
  return withSignature(bare, await signBy(keys, signedBytes(bare)));
}

/**
 * Verifies and opens an offer that was sealed to us; `keys` are those of our stand-in where it is sealed to that.
 * @throws AwlError MESSAGE_MALFORMED, MESSAGE_NOT_PINNED; MEEPO_REFUSED where an agent has the key
 */
export function openOffer(
  keys: MeepoKeys,
  descriptor: Descriptor,
): { readonly sdp: string; readonly secret: OfferSecret } {
  verifyDescriptor(descriptor);
  if (keys.signer) {
    throw new AwlError('MEEPO_REFUSED', 'only awl nodes can call this one: its key is in an ssh-agent');
  }
  const data = descriptor.UserData;
  const once = readBase64(data['randPubk'], 'randPubk');
  if (once.length !== 32) throw malformedMeepo('randPubk is no key');
  let key: Buffer;
  try {
    key = meepoShared(once, keys.seed);
  } catch {
    throw malformedMeepo('randPubk is no key');
  }
  const secret = { key, nonce: readBase64(data['nonce'], 'nonce') };
  return { sdp: open(secret, readBase64(data['ct'], 'ct'), 1), secret };
}

/** Seals the answer to an offer, as the real one does: with the offer's key and nonce. */
export function sealAnswer(keys: MeepoKeys, secret: OfferSecret, sdp: string): Descriptor {
  return signed(keys, unsigned(keys, { ct: seal(secret, 3, sdp) }));
}

/** {@link sealAnswer} with a key that may be in an agent. */
export function sealAnswerBy(keys: MeepoKeys, secret: OfferSecret, sdp: string): Promise<Descriptor> {
  return signDescriptorBy(keys, { ct: seal(secret, 3, sdp) });
}

/**
 * Verifies that `peer` made the answer and opens it.
 * @throws AwlError MESSAGE_MALFORMED, MESSAGE_NOT_PINNED
 */
export function openAnswer(peer: string, secret: OfferSecret, descriptor: Descriptor): string {
  if (descriptor.ID !== peer) throw malformedMeepo('somebody else answers');
  verifyDescriptor(descriptor);
  return open(secret, readBase64(descriptor.UserData['ct'], 'ct'), 3);
}

/** @throws AwlError MESSAGE_MALFORMED unless the named key signed it */
export function verifyDescriptor(descriptor: Descriptor): void {
  const signature = readBase64(descriptor.UserData['sig'], 'sig');
  if (!meepoVerify(parseMeepoId(descriptor.ID), signedBytes(descriptor), signature)) {
    throw malformedMeepo('incorrect signature');
  }
}

/** Reads the shape of a descriptor from decoded JSON or msgpack. @throws AwlError MESSAGE_MALFORMED */
export function readDescriptor(value: unknown): Descriptor {
  const fields = value instanceof Map ? Object.fromEntries(value) : value;
  if (typeof fields !== 'object' || fields === null) throw malformedMeepo('the descriptor is no map');
  const { ID, UserData } = fields as Readonly<Record<string, unknown>>;
  if (typeof ID !== 'string' || !isMeepoId(ID)) throw malformedMeepo('the descriptor names nobody');
  const data: unknown = UserData instanceof Map ? Object.fromEntries(UserData) : UserData;
  if (typeof data !== 'object' || data === null) throw malformedMeepo('UserData is no map');
  const entries = Object.entries(data);
  if (entries.length > USER_DATA_MAX) throw malformedMeepo('UserData has too many members');
  const texts = entries.map(([name, text]) => [name, readText(text, 'UserData', 2 * SDP_MAX_CHARS)] as const);
  return { ID, UserData: Object.fromEntries(texts) };
}
