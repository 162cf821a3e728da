import { randomBytes } from 'node:crypto';
import { link, mkdir, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { IDENTITY_BACKDATE_MS, IDENTITY_RSA_BITS, IDENTITY_YEARS } from '../constants.js';
import { AwlError, isAwlError } from '../errors.js';
import { decodeBundle, encodeBundle } from './bundle.js';
import { notWritten, systemCode } from './diagnosis.js';
import { CERTIFICATE_FILE, formatName, type IdentityName, KEY_FILE, parseName } from './names.js';
import { AppRepository } from './repository.js';
import { inside, SafeFolder } from './safe-folder.js';
import { selfSigned } from './self-signed.js';
import { type Certificate, canReceive, checkValidity, parseCertificate, validityOf } from './x509.js';

export interface CreateOptions {
  /** RSA size: 2048 (default), 3072 or 4096. */
  readonly bits?: number;
  readonly years?: number;
  readonly now?: Date;
}

export interface TrustOptions {
  /** Name to keep the certificate under; needed for a plain certificate, which carries none. */
  readonly as?: IdentityName;
  /** Take the new certificate in place of another one. */
  readonly replace?: boolean;
  readonly now?: Date;
  /** Names the source in errors. */
  readonly what?: string;
}

/** What was done to the repository. */
export interface Onboarded {
  readonly name: IdentityName;
  /** The identity's folder. */
  readonly folder: string;
  readonly cert: Certificate;
  readonly expires: Date;
  readonly outcome: 'created' | 'added' | 'replaced' | 'unchanged';
}

/**
 * Makes an identity of ours: a new key and a self-signed certificate. The folder appears whole or not at all.
 * @param repoPath app repository; made if it is not there
 * @throws AwlError FILE_EXISTS, FILE_WRITE, IDENTITY_NAME, IDENTITY_UNSAFE, USAGE_BAD_VALUE
 */
export async function createIdentity(
  repoPath: string,
  name: IdentityName,
  options: CreateOptions = {},
): Promise<Onboarded> {
  const { owner, pin } = parseName(formatName(name));
  const { bits = IDENTITY_RSA_BITS[0] ?? 0, years = IDENTITY_YEARS, now = new Date() } = options;
  if (!IDENTITY_RSA_BITS.includes(bits)) {
    throw new AwlError('USAGE_BAD_VALUE', `a key of ${bits} bits cannot be made`, {
      hint: `choose one of ${IDENTITY_RSA_BITS.join(', ')}`,
    });
  }
  const repo = new AppRepository(repoPath);
  const exists = () =>
    new AwlError('FILE_EXISTS', `${repo.file(name, '')} is already there`, {
      hint: 'choose another pin, or move that folder away first: a lost key cannot be had again',
    });
  return inOwnerFolder(repo.path, owner, async (folder) => {
    if (await folder.has(pin)) throw exists();
    const from = new Date(now.getTime() - IDENTITY_BACKDATE_MS);
    const to = new Date(now);
    to.setUTCFullYear(to.getUTCFullYear() + years);
    const made = await selfSigned(owner, { bits, from, to });
    const cert = parseCertificate(made.cert, repo.file(name, CERTIFICATE_FILE));
    checkValidity(cert, now, 'the new certificate');
    const draft = temporaryName(pin);
    try {
      await folder.make(draft);
      await inside(folder.enter(draft), async (staging) => {
        await staging.write(KEY_FILE, made.key, 0o600);
        await staging.write(CERTIFICATE_FILE, made.cert, 0o644);
      });
      await rename(folder.at(draft), folder.at(pin));
    } catch (error) {
      await rm(folder.at(draft), { recursive: true, force: true });
      throw ['EEXIST', 'ENOTEMPTY', 'ENOTDIR'].includes(systemCode(error)) ? exists() : error;
    }
    return { name, folder: repo.file(name, ''), cert, expires: validityOf(cert).to, outcome: 'created' };
  });
}

/**
 * The public part of an identity as text to hand to others ({@link encodeBundle}).
 * @throws AwlError as {@link AppRepository.peer}
 */
export async function exportIdentity(
  repoPath: string,
  name: IdentityName,
  now = new Date(),
): Promise<string> {
  const { cert } = await new AppRepository(repoPath, { now: () => now }).peer(name);
  return encodeBundle(name, cert);
}

/**
 * Takes somebody's bundle or certificate into the repository: from then on that key may connect as that name.
 * @throws AwlError FILE_EXISTS if another certificate is there and `replace` is not set; IDENTITY_NAME,
 *   IDENTITY_INVALID, IDENTITY_EXPIRED, IDENTITY_UNSAFE, FILE_WRITE
 */
export async function trustIdentity(
  repoPath: string,
  text: string,
  options: TrustOptions = {},
): Promise<Onboarded> {
  const { now = new Date(), what = 'the bundle', replace = false } = options;
  const bundle = decodeBundle(text, what);
  const name = options.as ?? bundle.name;
  if (!name) {
    throw new AwlError('IDENTITY_NAME', `${what} is a plain certificate and does not say whose it is`, {
      hint: 'name it: awl id trust FILE --as owner/pin',
    });
  }
  parseName(formatName(name));
  const { cert } = bundle;
  checkValidity(cert, now, `the certificate in ${what}`);
  if (!canReceive(cert)) {
    throw new AwlError(
      'IDENTITY_INVALID',
      `the certificate in ${what} has no RSA key, so nothing can be sealed to it`,
      {
        hint: `its owner makes one with: awl id init ${formatName(name)}`,
      },
    );
  }
  const repo = new AppRepository(repoPath, { now: () => now });
  await refuseOwn(repo, name, cert);
  return inOwnerFolder(repo.path, name.owner, async (owner) => {
    const fresh = await owner.make(name.pin);
    try {
      const outcome = await inside(owner.enter(name.pin), (folder) =>
        pinCertificate(folder, cert, replace, what),
      );
      if (!outcome) throw notWritten(repo.file(name, ''), new Error('the folder vanished'));
      return { name, folder: repo.file(name, ''), cert, expires: validityOf(cert).to, outcome };
    } catch (error) {
      if (fresh) await rmdir(owner.at(name.pin)).catch(() => {});
      throw error;
    }
  });
}

/** Who trusts his own certificate as somebody else's lets the rendezvous operator send his own messages back to him. */
async function refuseOwn(repo: AppRepository, name: IdentityName, cert: Certificate): Promise<void> {
  for (const entry of await repo.own()) {
    const own = formatName(entry.name);
    if (own === formatName(name) || entry.fingerprint === cert.fingerprint) {
      throw new AwlError(
        'IDENTITY_INVALID',
        `${own} is your own identity: its private key is in this repository`,
        {
          hint: 'trust is for the identities of others; give yours to them with: awl id export',
        },
      );
    }
  }
}

async function pinCertificate(
  folder: SafeFolder,
  cert: Certificate,
  replace: boolean,
  what: string,
): Promise<'added' | 'replaced' | 'unchanged'> {
  const path = join(folder.path, CERTIFICATE_FILE);
  const old = await folder.read(CERTIFICATE_FILE, false);
  if (old && sameCertificate(old, cert)) return 'unchanged';
  const another = () =>
    new AwlError('FILE_EXISTS', `${path} is another certificate than the one in ${what}`, {
      hint: 'ask its owner, over a channel that you trust, whether the key was changed; then: awl id trust FILE --replace',
    });
  if (old && !replace) throw another();
  const draft = temporaryName(CERTIFICATE_FILE);
  try {
    await folder.write(draft, cert.pem, 0o644);
    await place(folder.at(draft), folder.at(CERTIFICATE_FILE), replace);
  } catch (error) {
    throw systemCode(error) === 'EEXIST' ? another() : error;
  } finally {
    await rm(folder.at(draft), { force: true });
  }
  return old ? 'replaced' : 'added';
}

/** Puts a finished file in its place in one step; without `replace` never over another. */
async function place(from: string, to: string, replace: boolean): Promise<void> {
  if (replace) return rename(from, to);
  try {
    await link(from, to);
  } catch (error) {
    // Some file systems know no hard links; there only the check beforehand guards the old file.
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(systemCode(error))) throw error;
    await rename(from, to);
  }
}

function sameCertificate(pem: Buffer, cert: Certificate): boolean {
  try {
    return parseCertificate(pem, '').x509.raw.equals(cert.x509.raw);
  } catch {
    return false;
  }
}

/** Hidden, so that it is nobody's identity should we be killed halfway. */
function temporaryName(name: string): string {
  return `.${name}.${randomBytes(8).toString('hex')}`;
}

/** Runs `use` in the owner's folder, made if need be; what was made for nothing is removed again. */
async function inOwnerFolder<T>(
  repoPath: string,
  owner: string,
  use: (folder: SafeFolder) => Promise<T>,
): Promise<T> {
  let made: string | undefined;
  try {
    made = await mkdir(repoPath, { recursive: true, mode: 0o700 });
    const done = await inside(SafeFolder.open(repoPath), async (repo) => {
      const fresh = await repo.make(owner);
      try {
        return await inside(repo.enter(owner), async (folder) => ({ value: await use(folder) }));
      } catch (error) {
        if (fresh) await rmdir(repo.at(owner)).catch(() => {});
        throw error;
      }
    });
    if (!done) throw new Error(`the folder of ${owner} vanished`);
    return done.value;
  } catch (error) {
    if (made) await removeEmpty(resolve(repoPath), resolve(made));
    throw isAwlError(error) ? error : notWritten(join(repoPath, owner), error);
  }
}

async function removeEmpty(from: string, upTo: string): Promise<void> {
  for (let path = from; path.length >= upTo.length; path = dirname(path)) await rmdir(path).catch(() => {});
}
