import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseName } from '../../src/identity/names.js';
import type { HostIdentity } from '../../src/identity/repository.js';
import { parseCertificate } from '../../src/identity/x509.js';
import { contextTag, der, encodeOid, encodeTime, sequence, smallInteger, TAG } from '../../src/wire/asn1.js';
import { storedKey } from './key-store.js';

/** What a certificate made for a test may be wrong in. */
export interface PartyOptions {
  readonly type?: 'rsa' | 'ec';
  readonly key?: KeyObject;
  /** Signs the certificate; default: itself. */
  readonly issuer?: HostIdentity;
  readonly isCa?: boolean;
  readonly commonName?: string;
  readonly serial?: Buffer;
  readonly from?: Date;
  readonly to?: Date;
}

const COMMON_NAME = encodeOid('2.5.4.3');
const BASIC_CONSTRAINTS = encodeOid('2.5.29.19');
const SHA256_RSA = sequence(encodeOid('1.2.840.113549.1.1.11'), der(TAG.NULL));
const SHA256_ECDSA = sequence(encodeOid('1.2.840.10045.4.3.2'));
const SUBJECT_KEY_ID = encodeOid('2.5.29.14');
const BIT_STRING = 0x03;
const TRUE = der(0x01, Buffer.from([0xff]));

function bits(bytes: Buffer): Buffer {
  return der(BIT_STRING, Buffer.from([0]), bytes);
}

function named(commonName: string): Buffer {
  return sequence(der(TAG.SET, sequence(COMMON_NAME, der(TAG.UTF8_STRING, Buffer.from(commonName)))));
}

export function newKey(type: 'rsa' | 'ec' = 'rsa'): KeyObject {
  return type === 'rsa' ? storedKey() : generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

/** An identity with a fresh certificate, RFC 5280, good for a day around {@link CAPTURED_AT} unless told otherwise. */
export function makeParty(name: string, options: PartyOptions = {}): HostIdentity {
  const key = options.key ?? newKey(options.type);
  const { privateKey: signer, subject: issuerName } = options.issuer
    ? { privateKey: options.issuer.key, subject: options.issuer.cert.x509.subject.replace(/^CN=/, '') }
    : { privateKey: key, subject: options.commonName ?? name };
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const algorithm = signer.asymmetricKeyType === 'ec' ? SHA256_ECDSA : SHA256_RSA;
  const day = 24 * 3600_000;
  const keyId = der(TAG.OCTET_STRING, createHash('sha1').update(spki).digest());
  const basic = sequence(
    BASIC_CONSTRAINTS,
    TRUE,
    der(TAG.OCTET_STRING, options.isCa ? sequence(TRUE) : sequence()),
  );
  const tbs = sequence(
    der(contextTag(0), smallInteger(2)),
    der(TAG.INTEGER, options.serial ?? Buffer.concat([Buffer.from([0x40]), randomBytes(8)])),
    algorithm,
    named(issuerName),
    sequence(
      encodeTime(options.from ?? new Date(CAPTURED_AT.getTime() - day)),
      encodeTime(options.to ?? new Date(CAPTURED_AT.getTime() + day)),
    ),
    named(options.commonName ?? name),
    spki,
    der(contextTag(3), sequence(basic, sequence(SUBJECT_KEY_ID, der(TAG.OCTET_STRING, keyId)))),
  );
  const raw = sequence(tbs, algorithm, bits(sign('sha256', tbs, signer)));
  const pem = `-----BEGIN CERTIFICATE-----\n${raw.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`;
  return { name: parseName(name), cert: parseCertificate(pem, name), key };
}

const KEYS = new URL('../fixtures/plexus/keys/', import.meta.url);

/** The throw-away identities of the captured plexus sessions: `alice` invited, `bob` accepted. */
export function capturedParty(who: 'alice' | 'bob'): HostIdentity {
  return {
    name: { owner: `${who}@px.test`, pin: who === 'alice' ? 'pinA' : 'pinB' },
    cert: parseCertificate(readFileSync(new URL(`${who}.crt`, KEYS)), who),
    key: createPrivateKey(readFileSync(new URL(`${who}.key`, KEYS))),
  };
}

const EMAIL = new URL('../fixtures/plexus/email/', import.meta.url);

/** A captured file as it was on the wire. */
export function captured(file: string): Buffer {
  return readFileSync(new URL(file, EMAIL));
}

/** The S/MIME entity of a captured mail: what a rendezvous hands over. */
export function capturedEntity(file: string): Buffer {
  const mail = captured(file).toString('latin1');
  const match = /boundary=(\S+)/.exec(mail);
  const [, entity = ''] = mail.split(`\r\n--${match?.[1]}`);
  return Buffer.from(entity.replace(/^\r\n/, ''), 'latin1');
}

/** When the captured sessions ran. */
export const CAPTURED_AT = new Date('2026-11-21T07:21:20Z');
