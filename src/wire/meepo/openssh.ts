import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { AwlError } from '../../errors.js';
import { sshString } from '../ssh-string.js';
import { type MeepoKeys, meepoKeys } from './keys.js';

const requireModule = createRequire(import.meta.url);
const MAGIC = Buffer.from('openssh-key-v1\0');
const BEGIN = '-----BEGIN OPENSSH PRIVATE KEY-----';
const END = '-----END OPENSSH PRIVATE KEY-----';
const TYPE = 'ssh-ed25519';
/** A key file has about 400 bytes; comments may be long. */
export const KEY_FILE_MAX_BYTES = 64 * 1024;
/** OpenSSH writes 16 or 24; a thousand take a minute. */
const ROUNDS = 16;
const ROUNDS_MAX = 1024;
const SALT_BYTES = 16;

/** Cipher name of OpenSSH, Node's name, block size for the padding. */
const CIPHERS: Readonly<Record<string, string>> = {
  'aes256-ctr': 'aes-256-ctr',
  'aes256-cbc': 'aes-256-cbc',
};
const BLOCK = 16;
const PLAIN_BLOCK = 8;

type BcryptPbkdf = {
  pbkdf(
    password: Uint8Array,
    passwordLength: number,
    salt: Uint8Array,
    saltLength: number,
    key: Uint8Array,
    keyLength: number,
    rounds: number,
  ): number;
};

/** An identity file: its key pair and the comment in it. */
export interface KeyFile {
  readonly keys: MeepoKeys;
  readonly comment: string;
}

function bad(why: string): AwlError {
  return new AwlError('IDENTITY_INVALID', `expect openssh ed25519 private key: ${why}`, {
    hint: 'make one with: awl meepo keygen -f meepo.pem',
  });
}

/** Reads the length-prefixed strings of OpenSSH's format. */
class Reader {
  #at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  number(): number {
    if (this.#bytes.length - this.#at < 4) throw bad('it is cut off');
    this.#at += 4;
    return this.#bytes.readUInt32BE(this.#at - 4);
  }

  string(): Buffer {
    const length = this.number();
    if (length > this.#bytes.length - this.#at) throw bad('it is cut off');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  text(): string {
    return this.string().toString('utf8');
  }

  rest(): Buffer {
    return this.#bytes.subarray(this.#at);
  }
}

/** Key and IV of an encrypted file (bcrypt_pbkdf of OpenBSD); some 100 ms for 24 rounds. */
function derive(passphrase: string, salt: Buffer, rounds: number): { key: Buffer; iv: Buffer } {
  if (rounds < 1 || rounds > ROUNDS_MAX) throw bad(`${rounds} rounds are not sensible`);
  if (salt.length === 0 || salt.length > 64) throw bad('its salt is not sensible');
  const { pbkdf } = requireModule('bcrypt-pbkdf') as BcryptPbkdf;
  const password = Buffer.from(passphrase);
  const out = new Uint8Array(32 + BLOCK);
  if (password.length === 0 || pbkdf(password, password.length, salt, salt.length, out, out.length, rounds)) {
    throw wrongPassphrase();
  }
  return { key: Buffer.from(out.subarray(0, 32)), iv: Buffer.from(out.subarray(32)) };
}

function wrongPassphrase(): AwlError {
  return new AwlError('IDENTITY_INVALID', 'the passphrase does not open the identity file', {
    hint: 'it was asked for on the terminal, or read from --passphrase-file',
  });
}

/** True if {@link parseKeyFile} needs a passphrase. */
export function isEncryptedKey(text: string): boolean {
  try {
    return outer(text).cipher !== 'none';
  } catch {
    return false;
  }
}

function outer(text: string): { cipher: string; kdf: string; options: Buffer; secret: Buffer } {
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (text.length > KEY_FILE_MAX_BYTES || begin < 0 || end < begin)
    throw bad('the file holds something else');
  const bytes = Buffer.from(text.slice(begin + BEGIN.length, end).replace(/\s+/g, ''), 'base64');
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw bad('the file holds something else');
  const reader = new Reader(bytes.subarray(MAGIC.length));
  const [cipher, kdf, options] = [reader.text(), reader.text(), reader.string()];
  if (reader.number() !== 1) throw bad('it holds several keys');
  reader.string();
  return { cipher, kdf, options, secret: reader.string() };
}

function decrypt(file: ReturnType<typeof outer>, passphrase: string | undefined): Buffer {
  const { cipher, kdf, options, secret } = file;
  if (cipher === 'none' && kdf === 'none') return secret;
  const name = CIPHERS[cipher];
  if (!name || kdf !== 'bcrypt') throw bad(`${JSON.stringify(cipher.slice(0, 40))} is not supported`);
  if (passphrase === undefined) throw bad('it needs a passphrase');
  const reader = new Reader(options);
  const salt = reader.string();
  const { key, iv } = derive(passphrase, salt, reader.number());
  if (secret.length === 0 || secret.length % BLOCK !== 0) throw bad('it is cut off');
  const decipher = createDecipheriv(name, key, iv).setAutoPadding(false);
  return Buffer.concat([decipher.update(secret), decipher.final()]);
}

/**
 * Reads an OpenSSH Ed25519 private key, with a passphrase where the file is encrypted.
 * @throws AwlError IDENTITY_INVALID
 */
export function parseKeyFile(text: string, passphrase?: string): KeyFile {
  const file = outer(text);
  const reader = new Reader(decrypt(file, passphrase));
  const [check, again] = [reader.number(), reader.number()];
  if (check !== again) {
    throw file.cipher === 'none' ? bad('its check numbers differ') : wrongPassphrase();
  }
  const type = reader.text();
  if (type !== TYPE) throw bad(`it is of type ${JSON.stringify(type.slice(0, 40))}`);
  const [publicKey, pair] = [reader.string(), reader.string()];
  const comment = reader.text();
  if (pair.length !== 64) throw bad('its key has a wrong length');
  const keys = meepoKeys(Buffer.from(pair.subarray(0, 32)));
  if (!keys.publicKey.equals(publicKey) || !keys.publicKey.equals(pair.subarray(32))) {
    throw bad('its two halves do not fit');
  }
  if (reader.rest().some((byte, index) => byte !== index + 1)) throw bad('its padding is wrong');
  return { keys, comment };
}

/** Writes the file as Meepo's keygen does, in lines of 64; ssh-keygen reads it. `check` is the random number that stands in it twice. */
export function formatKeyFile(
  { keys, comment }: KeyFile,
  passphrase?: string,
  check: number = randomBytes(4).readUInt32BE(),
): string {
  const numbers = Buffer.alloc(8);
  numbers.writeUInt32BE(check, 0);
  numbers.writeUInt32BE(check, 4);
  const pair = Buffer.concat([keys.seed, keys.publicKey]);
  const bare = Buffer.concat([
    numbers,
    sshString(TYPE),
    sshString(keys.publicKey),
    sshString(pair),
    sshString(comment),
  ]);
  const block = passphrase === undefined ? PLAIN_BLOCK : BLOCK;
  const missing = (block - (bare.length % block)) % block;
  const padded = Buffer.concat([bare, Buffer.from(Array.from({ length: missing }, (_, i) => i + 1))]);
  const head = [sshString('none'), sshString('none'), sshString('')];
  let secret = padded;
  if (passphrase !== undefined) {
    const salt = randomBytes(SALT_BYTES);
    const { key, iv } = derive(passphrase, salt, ROUNDS);
    const cipher = createCipheriv('aes-256-ctr', key, iv);
    secret = Buffer.concat([cipher.update(padded), cipher.final()]);
    const rounds = Buffer.alloc(4);
    rounds.writeUInt32BE(ROUNDS);
    head.splice(
      0,
      3,
      sshString('aes256-ctr'),
      sshString('bcrypt'),
      sshString(Buffer.concat([sshString(salt), rounds])),
    );
  }
  const one = Buffer.from([0, 0, 0, 1]);
  const open = Buffer.concat([sshString(TYPE), sshString(keys.publicKey)]);
  const bytes = Buffer.concat([MAGIC, ...head, one, sshString(open), sshString(secret)]);
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return [BEGIN, ...lines, END, ''].join('\n');
}
