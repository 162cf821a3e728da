import { createHash } from 'node:crypto';
import { IDENTITY_INDEX_FRESH_MS, IDENTITY_INDEX_MS } from '../constants.js';
import { isAwlError } from '../errors.js';
import { CERTIFICATE_FILE, type IdentityName, isNamePart } from './names.js';
import { inside, SafeFolder } from './safe-folder.js';
import { parseCertificate } from './x509.js';

type Names = ReadonlyMap<string, readonly IdentityName[]>;

/**
 * Which identities of a repository have a key: what plexus indexes by key id when it starts (spec b). Read anew when
 * it is old, and soon when a key is not in it, so that somebody trusted just now is known.
 */
export class KeyIndex {
  readonly #path: string;
  readonly #clock: () => number;
  #names: Names = new Map();
  #readAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<Names> | undefined;

  /** @param clock milliseconds that never go back */
  constructor(path: string, clock: () => number = () => performance.now()) {
    this.#path = path;
    this.#clock = clock;
  }

  /**
   * The identities whose certificate has this public key, in order of their names.
   * @param publicKeyInfo DER SubjectPublicKeyInfo
   * @throws AwlError IDENTITY_UNSAFE if the repository itself must not be used
   */
  async find(publicKeyInfo: Uint8Array): Promise<readonly IdentityName[]> {
    const fingerprint = createHash('sha256').update(publicKeyInfo).digest('hex');
    const age = this.#clock() - this.#readAt;
    const known = age <= IDENTITY_INDEX_MS ? this.#names.get(fingerprint) : undefined;
    if (known) return known;
    // Strangers cannot make us read the whole repository for each of their messages.
    if (age > IDENTITY_INDEX_FRESH_MS) await this.#refresh();
    return this.#names.get(fingerprint) ?? [];
  }

  async #refresh(): Promise<void> {
    this.#reading ??= readNames(this.#path).finally(() => {
      this.#reading = undefined;
    });
    this.#names = await this.#reading;
    this.#readAt = this.#clock();
  }
}

/** Certificates alone are read: whether an identity can be used shows when it is. */
async function readNames(path: string): Promise<Names> {
  const names = new Map<string, IdentityName[]>();
  await inside(SafeFolder.open(path), async (root) => {
    for (const owner of (await root.folders()).filter(isNamePart)) {
      await skipUnusable(() =>
        inside(root.enter(owner), async (folder) => {
          for (const pin of (await folder.folders()).filter(isNamePart)) {
            await skipUnusable(async () => {
              const pem = await inside(folder.enter(pin), (each) => each.read(CERTIFICATE_FILE, false));
              if (!pem) return;
              const { fingerprint } = parseCertificate(pem, CERTIFICATE_FILE);
              names.set(fingerprint, [...(names.get(fingerprint) ?? []), { owner, pin }]);
            });
          }
        }),
      );
    }
  });
  return names;
}

/** One bad entry spoils no other; `awl id list` says what is wrong with it. */
async function skipUnusable(use: () => Promise<unknown>): Promise<void> {
  try {
    await use();
  } catch (error) {
    if (!isAwlError(error)) throw error;
  }
}
