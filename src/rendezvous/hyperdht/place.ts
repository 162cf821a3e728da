import { createHash, createHmac, hkdfSync } from 'node:crypto';

const SALT = 'awl hyperdht rendezvous v1';
const TAG_BYTES = 16;

/**
 * Where invitations for one app and one recipient meet in the DHT. Whoever has the recipient's certificate can compute
 * it; nodes of the DHT see only `topic`.
 */
export interface Place {
  /** Acceptors announce themselves under it. */
  readonly topic: Buffer;
  /** Keeps names and sealed bytes from everybody who lacks the certificate. */
  readonly boxKey: Buffer;
  /** Lets an acceptor drop messages of such people unread. */
  readonly gateKey: Buffer;
}

/** HKDF-SHA256 (RFC 5869) over the recipient's DER SubjectPublicKeyInfo; the info is `label`, a zero byte, the app. */
export function placeOf(app: string, recipientKey: Uint8Array): Place {
  const derive = (label: string) =>
    Buffer.from(hkdfSync('sha256', recipientKey, SALT, `${label}\0${app}`, 32));
  return { topic: derive('topic'), boxKey: derive('box'), gateKey: derive('gate') };
}

/** 16 bytes that go before every message to one acceptor: HMAC-SHA256 of its key, so that no other can use them. */
export function gateOf(place: Place, acceptorKey: Uint8Array): Buffer {
  return createHmac('sha256', place.gateKey).update(acceptorKey).digest().subarray(0, TAG_BYTES);
}

/** Names a boxed letter: the first 16 bytes of its SHA-256. */
export function letterId(box: Uint8Array): Buffer {
  return createHash('sha256').update(box).digest().subarray(0, TAG_BYTES);
}

/** The key of the box that holds the answer to the letter `id`. */
export function answerKey(place: Place, id: Uint8Array): Buffer {
  return deriveFor(place, 'answer', id);
}

/** Seed of the key pair under which an acceptor leaves its answer as a record of the DHT. */
export function answerSeed(place: Place, id: Uint8Array, acceptorKey: Uint8Array): Buffer {
  return deriveFor(place, 'answer record', Buffer.concat([id, acceptorKey]));
}

function deriveFor(place: Place, label: string, what: Uint8Array): Buffer {
  const info = Buffer.concat([Buffer.from(`${label}\0`), what]);
  return Buffer.from(hkdfSync('sha256', place.boxKey, SALT, info, 32));
}
