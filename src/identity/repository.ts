import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { AwlError } from '../errors.js';
import { KeyIndex } from './key-index.js';
import {
  CA_FILE,
  CERTIFICATE_FILE,
  formatName,
  type IdentityName,
  isNamePart,
  KEY_FILE,
  matchesName,
  type PartialName,
} from './names.js';
import { parsePrivateKey } from './private-key.js';
import { inside, SafeFolder } from './safe-folder.js';
import { type RepositoryEntry, type RepositorySurvey, surveyRepository } from './survey.js';
import { type Certificate, canReceive, checkValidity, parseCertificate } from './x509.js';

/** An identity that is ours: it can sign and decrypt. */
export interface HostIdentity {
  readonly name: IdentityName;
  readonly cert: Certificate;
  readonly key: KeyObject;
  /** plexus 3.4 lets the host's `ca.crt` judge peers. */
  readonly ca?: Certificate;
}

/** An identity of somebody else: nothing but this certificate speaks for it. */
export interface PeerIdentity {
  readonly name: IdentityName;
  readonly cert: Certificate;
  /** plexus 3.1 lets the peer's `ca.crt` judge the peer. */
  readonly ca?: Certificate;
}

export interface RepositoryOptions {
  /** The clock that certificates are held against. */
  readonly now?: () => Date;
}

/** The three files of an identity as far as they are there, read but not yet understood. */
interface IdentityFiles {
  readonly cert: Buffer | undefined;
  readonly key: Buffer | undefined;
  readonly ca: Buffer | undefined;
}

/**
 * The tree of identities `<path>/<owner>/<pin>/{cert.crt,private.key,ca.crt}` (spec b). Who is in it may connect.
 * Nothing in it is reached through a symbolic link, and no key is used that others may read.
 * Every call but `findByKey` reads the files anew: a session loads its identities once and keeps them.
 */
export class AppRepository {
  readonly path: string;
  readonly #now: () => Date;
  readonly #keys: KeyIndex;

  /** @param path folder as the user named it; it need not be there yet */
  constructor(path: string, options: RepositoryOptions = {}) {
    // plexus' default "" means the current folder.
    this.path = path === '' ? '.' : path;
    this.#now = options.now ?? (() => new Date());
    this.#keys = new KeyIndex(this.path);
  }

  /**
   * Loads an identity of ours: certificate, matching private key and, if there, `ca.crt`.
   * @throws AwlError IDENTITY_NAME, IDENTITY_MISSING, IDENTITY_UNSAFE, IDENTITY_INVALID, IDENTITY_EXPIRED
   */
  async host(name: IdentityName): Promise<HostIdentity> {
    const files = await this.#read(name, true);
    if (!files) throw this.#missing(name, '', `make this identity: awl id init ${formatName(name)}`);
    if (!files.cert || !files.key) {
      throw this.#missing(
        name,
        files.cert ? KEY_FILE : CERTIFICATE_FILE,
        files.cert
          ? `if ${formatName(name)} is you, put its private key there or make another identity with awl id init; if not, it cannot be the host`
          : 'put the certificate that belongs to the private key there, or move the folder away and make a new identity with awl id init',
      );
    }
    const cert = this.#certificate(files.cert, name, CERTIFICATE_FILE);
    const key = parsePrivateKey(files.key, cert, this.file(name, KEY_FILE));
    this.#checkUse(cert, name);
    return { name, cert, key, ...this.#ca(files.ca, name) };
  }

  /**
   * Loads somebody's certificate and, if there, `ca.crt`. The private key, if there is one, is not opened.
   * @throws AwlError as `host`
   */
  async peer(name: IdentityName): Promise<PeerIdentity> {
    const files = await this.#read(name, false);
    if (!files?.cert) {
      throw this.#missing(
        name,
        files ? CERTIFICATE_FILE : '',
        `ask ${formatName(name)} for the output of "awl id export" and take it with: awl id trust FILE`,
      );
    }
    const cert = this.#certificate(files.cert, name, CERTIFICATE_FILE);
    this.#checkUse(cert, name);
    return { name, cert, ...this.#ca(files.ca, name) };
  }

  /** True if the identity has a folder here, which is plexus' "allowed"; false for any name or folder that is not sound. */
  async has(name: IdentityName): Promise<boolean> {
    try {
      return (await this.inFolder(name, async () => true)) ?? false;
    } catch {
      return false;
    }
  }

  /**
   * Whose key it is, for messages that bring a key and no name; with a pattern, the first who matches it. The answer
   * may be some seconds old, so load the identity and compare the key.
   * @param publicKeyInfo DER SubjectPublicKeyInfo
   * @throws AwlError IDENTITY_UNSAFE if the repository itself must not be used
   */
  async findByKey(publicKeyInfo: Uint8Array, pattern: PartialName = {}): Promise<IdentityName | undefined> {
    return (await this.#keys.find(publicKeyInfo)).find((name) => matchesName(name, pattern));
  }

  /**
   * What is in the repository, sound or not; one bad entry spoils no other. Empty if the repository is not there.
   * @throws AwlError IDENTITY_UNSAFE if the repository itself must not be used
   */
  async survey(): Promise<RepositorySurvey> {
    const found = await inside(SafeFolder.open(this.path), (repo) => surveyRepository(this, repo));
    return found ?? { entries: [], problems: [] };
  }

  /** The identities of {@link survey}: every folder that may be one by its name. */
  async list(): Promise<RepositoryEntry[]> {
    return [...(await this.survey()).entries];
  }

  /** Own identities only, without a look at the certificates of all peers. */
  async own(): Promise<RepositoryEntry[]> {
    const found = await inside(SafeFolder.open(this.path), (repo) => surveyRepository(this, repo, true));
    return (found?.entries ?? []).filter(({ role }) => role === 'host');
  }

  /** The path of an identity's file, for messages; of its folder if `file` is empty. */
  file(name: IdentityName, file: string): string {
    return join(this.path, name.owner, name.pin, file);
  }

  /**
   * Runs `use` on the identity's open folder; every folder on the way down is held open until it is done.
   * @returns undefined if there is no such folder
   * @throws AwlError IDENTITY_NAME, IDENTITY_UNSAFE
   */
  async inFolder<T>(name: IdentityName, use: (folder: SafeFolder) => Promise<T>): Promise<T | undefined> {
    // Names also come from mails and from callers of the library: nothing that is not one may become a path.
    if (!isNamePart(name.owner) || !isNamePart(name.pin)) {
      throw new AwlError('IDENTITY_NAME', `${JSON.stringify(formatName(name))} is not owner/pin`, {
        hint: 'use 1 to 64 of the characters A-Z a-z 0-9 . _ @ + - in each and do not begin with "-" or "."',
      });
    }
    return inside(SafeFolder.open(this.path), (repo) =>
      inside(repo.enter(name.owner), (owner) => inside(owner.enter(name.pin), use)),
    );
  }

  #read(name: IdentityName, withKey: boolean): Promise<IdentityFiles | undefined> {
    return this.inFolder(name, async (folder) => ({
      cert: await folder.read(CERTIFICATE_FILE, false),
      key: withKey ? await folder.read(KEY_FILE, true) : undefined,
      ca: await folder.read(CA_FILE, false),
    }));
  }

  #certificate(pem: Buffer, name: IdentityName, file: string): Certificate {
    return parseCertificate(pem, this.file(name, file));
  }

  #ca(pem: Buffer | undefined, name: IdentityName): { readonly ca?: Certificate } {
    return pem ? { ca: this.#certificate(pem, name, CA_FILE) } : {};
  }

  #checkUse(cert: Certificate, name: IdentityName): void {
    const path = this.file(name, CERTIFICATE_FILE);
    checkValidity(cert, this.#now(), path);
    if (canReceive(cert)) return;
    throw new AwlError(
      'IDENTITY_INVALID',
      `${path} has a key of the kind ${cert.x509.publicKey.asymmetricKeyType}, to which no message can be sealed`,
      { hint: `receiving needs an RSA key; its owner makes one with: awl id init ${formatName(name)}` },
    );
  }

  #missing(name: IdentityName, file: string, hint: string): AwlError {
    const where = this.file(name, file);
    return new AwlError('IDENTITY_MISSING', `there is no ${where}`, { hint });
  }
}
