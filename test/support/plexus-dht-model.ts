import { execFileSync } from 'node:child_process';
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  publicEncrypt,
  constants as rsa,
  sign,
  verify,
  X509Certificate,
} from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Keys } from './plexus-model.js';
import { tempDir } from './tmp.js';

/**
 * The values of plexus over OpenDHT (spec d) written from the specification alone: bytes put together by hand, found
 * again by their field names as the capture tool did, decrypted by the openssl program. Shares no codec with awl.
 */
export function plexusKeyInfo(cert: string): Buffer {
  return new X509Certificate(readFileSync(cert)).publicKey.export({ type: 'spki', format: 'der' });
}

/** `sha1(hex id of the recipient + app + subject)`, as hex. */
export function plexusKey(recipientCert: string, app: string, subject: string): string {
  const id = createHash('sha1').update(plexusKeyInfo(recipientCert)).digest('hex');
  return createHash('sha1').update(`${id}${app}${subject}`).digest('hex');
}

function bin(bytes: Buffer): Buffer {
  const head = bytes.length < 256 ? [0xc4, bytes.length] : [0xc5, bytes.length >> 8, bytes.length & 255];
  return Buffer.concat([Buffer.from(head), bytes]);
}

function str(text: string): Buffer {
  const bytes = Buffer.from(text);
  const head = bytes.length < 32 ? [0xa0 | bytes.length] : [0xd9, bytes.length];
  return Buffer.concat([Buffer.from(head), bytes]);
}

/** The msgpack of `dat` that plexus puts: `{body: {seq, owner, type, data}, sig}`. */
export function plexusDat(text: string, host: Keys, peerCert: string): Buffer {
  const peer = new X509Certificate(readFileSync(peerCert)).publicKey;
  const data = publicEncrypt({ key: peer, padding: rsa.RSA_PKCS1_PADDING }, str(text));
  const body = Buffer.concat([
    Buffer.from([0x84]),
    str('seq'),
    Buffer.from([0]),
    str('owner'),
    bin(plexusKeyInfo(host.cert)),
    str('type'),
    Buffer.from([0]),
    str('data'),
    bin(data),
  ]);
  const signature = sign('sha512', body, createPrivateKey(readFileSync(host.key)));
  return Buffer.concat([Buffer.from([0x82]), str('body'), body, str('sig'), bin(signature)]);
}

/** What plexus reads in a `dat`: owner known, signature good, text decrypted; its user type is not looked at. */
export function plexusRead(dat: Uint8Array, host: Keys, peerCert: string): string {
  const raw = Buffer.from(dat).toString('latin1');
  const from = raw.indexOf('\xa4body') + 5;
  const to = raw.lastIndexOf('\xa3sig');
  const body = Buffer.from(raw.slice(from, to), 'latin1');
  const blobAfter = (bytes: Buffer, name: string) => {
    const at = bytes.toString('latin1').indexOf(name) + name.length;
    const wide = bytes[at] === 0xc5;
    if (!wide && bytes[at] !== 0xc4) throw new Error(`plexus: ${name} is not binary`);
    const size = wide ? bytes.readUInt16BE(at + 1) : bytes[at + 1]!;
    return bytes.subarray(at + (wide ? 3 : 2), at + (wide ? 3 : 2) + size);
  };
  const owner = blobAfter(body, '\xa5owner');
  if (!owner.equals(plexusKeyInfo(peerCert))) throw new Error('plexus: unknown owner');
  const signature = blobAfter(Buffer.from(raw.slice(to), 'latin1'), '\xa3sig');
  const key = createPublicKey({ key: owner, format: 'der', type: 'spki' });
  if (!verify('sha512', body, key, signature)) throw new Error('plexus: bad signature');
  const file = join(tempDir(), 'data');
  writeFileSync(file, blobAfter(body, '\xa4data'));
  const args = ['pkeyutl', '-decrypt', '-inkey', host.key, '-pkeyopt', 'rsa_padding_mode:pkcs1', '-in', file];
  const plain = execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const wide = plain[0] === 0xd9;
  const size = wide ? plain[1]! : plain[0]! & 0x1f;
  const begin = wide ? 2 : 1;
  if (plain.length !== begin + size) throw new Error('plexus: not a msgpack string');
  return plain.toString('latin1', begin);
}
