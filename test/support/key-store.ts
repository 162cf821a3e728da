import { createPrivateKey, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { inject } from 'vitest';
import { formatName, type IdentityName } from '../../src/identity/names.js';
import { createIdentity } from '../../src/identity/onboarding.js';

// An RSA key costs a quarter of a second, and the tests need a thousand. So the first file that needs an n-th key
// leaves it to the others: within one file every key is another one, as it would be without this.
const asked = new Map<string, number>();

function nth(what: string): string {
  const count = asked.get(what) ?? 0;
  asked.set(what, count + 1);
  return join(inject('runFolder'), `${what.replaceAll('/', '_')}-${count}`);
}

/** Puts something into the store whole or, if another process was quicker, not at all. */
function keep(place: string, make: (draft: string) => void): void {
  const draft = `${place}-${randomUUID()}`;
  make(draft);
  try {
    renameSync(draft, place);
  } catch {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** A fresh RSA key of 2048 bits, as far as this file can tell. */
export function storedKey(): KeyObject {
  const place = nth('rsa');
  if (existsSync(place)) return createPrivateKey(readFileSync(place));
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  keep(place, (draft) => writeFileSync(draft, pem, { mode: 0o600 }));
  return privateKey;
}

/** What {@link createIdentity} does, of which an earlier file may have done the work. */
export async function storedIdentity(repo: string, name: IdentityName): Promise<void> {
  const place = nth(formatName(name));
  const folder = join(repo, name.owner, name.pin);
  if (existsSync(place)) {
    copyFolder(place, folder);
    return;
  }
  await createIdentity(repo, name);
  keep(place, (draft) => copyFolder(folder, draft));
}

function copyFolder(from: string, to: string): void {
  mkdirSync(to, { recursive: true, mode: 0o700 });
  for (const file of readdirSync(from)) copyFileSync(join(from, file), join(to, file));
}
