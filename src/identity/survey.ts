import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { errorText, isAwlError } from '../errors.js';
import { CA_FILE, CERTIFICATE_FILE, type IdentityName, isNamePart, KEY_FILE } from './names.js';
import type { AppRepository } from './repository.js';
import { inside, type SafeFolder } from './safe-folder.js';
import { parseCertificate, validityOf } from './x509.js';

/** One identity as it lies in the repository. */
export interface RepositoryEntry {
  readonly name: IdentityName;
  /** `host`: there is a private key, so it is ours. */
  readonly role: 'host' | 'peer';
  /** Which of `cert.crt`, `private.key` and `ca.crt` are there. */
  readonly present: readonly string[];
  /** Which of them are needed and not there. */
  readonly missing: readonly string[];
  readonly fingerprint?: string;
  readonly expires?: Date;
  /** True if it can be used as what its role says. */
  readonly usable: boolean;
  /** What keeps it from being used, or is worth knowing, each with its cure. */
  readonly problems: readonly string[];
}

export interface RepositorySurvey {
  readonly entries: readonly RepositoryEntry[];
  /** What could not even be looked into: folders with impossible names, links, folders of others. */
  readonly problems: readonly string[];
}

function problemText(error: unknown): string {
  return isAwlError(error) && error.hint ? `${error.message}; ${error.hint}` : errorText(error);
}

/**
 * Looks at every `owner/pin` folder below an open repository; never throws for a single one.
 * @param ownOnly leave out those without a private key, unread: in a repository of thousands there are few others
 */
export async function surveyRepository(
  repo: AppRepository,
  root: SafeFolder,
  ownOnly = false,
): Promise<RepositorySurvey> {
  const entries: RepositoryEntry[] = [];
  const problems: string[] = [];
  const nameable = (part: string, where: string) => {
    if (isNamePart(part)) return true;
    problems.push(`${JSON.stringify(part)} in ${where} cannot be an owner or a pin; rename that folder`);
    return false;
  };
  for (const owner of await root.folders()) {
    if (!nameable(owner, root.path)) continue;
    if (ownOnly && !mayHoldKeys(root.at(owner))) continue;
    try {
      await inside(root.enter(owner), async (folder) => {
        for (const pin of await folder.folders()) {
          if (!nameable(pin, folder.path)) continue;
          if (ownOnly && !mayHaveKey(join(folder.at(pin), KEY_FILE))) continue;
          entries.push(await inspect(repo, folder, { owner, pin }));
        }
      });
    } catch (error) {
      problems.push(problemText(error));
    }
  }
  return { entries, problems };
}

/** Only saves a look at a folder without a key; what has one, or cannot be looked at, is judged as ever. */
function mayHaveKey(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true;
  }
}

/** One owner with thousands of peers, or thousands of owners: entering each folder would take seconds. */
function mayHoldKeys(owner: string): boolean {
  try {
    return readdirSync(owner).some((pin) => mayHaveKey(join(owner, pin, KEY_FILE)));
  } catch {
    return true;
  }
}

async function inspect(repo: AppRepository, owner: SafeFolder, name: IdentityName): Promise<RepositoryEntry> {
  try {
    const entry = await inside(owner.enter(name.pin), (folder) => look(repo, folder, name));
    if (entry) return entry;
  } catch (error) {
    return { name, role: 'peer', present: [], missing: [], usable: false, problems: [problemText(error)] };
  }
  return { name, role: 'peer', present: [], missing: [CERTIFICATE_FILE], usable: false, problems: [] };
}

async function look(repo: AppRepository, folder: SafeFolder, name: IdentityName): Promise<RepositoryEntry> {
  const present: string[] = [];
  for (const file of [CERTIFICATE_FILE, KEY_FILE, CA_FILE]) if (await folder.has(file)) present.push(file);
  const role = present.includes(KEY_FILE) ? 'host' : 'peer';
  const missing = present.includes(CERTIFICATE_FILE) ? [] : [CERTIFICATE_FILE];
  const problems: string[] = [];
  let usable = true;
  try {
    await (role === 'host' ? repo.host(name) : repo.peer(name));
  } catch (error) {
    usable = false;
    if (!isAwlError(error, 'IDENTITY_MISSING')) problems.push(problemText(error));
  }
  if (role === 'host' && folder.groupWritable) {
    problems.push(
      `the group of ${folder.path} may write in it; if others are in that group: chmod g-w on it`,
    );
  }
  return { name, role, present, missing, usable, problems, ...(await dates(folder)) };
}

/** Fingerprint and expiry also of a certificate that cannot be used, if it can be read at all. */
async function dates(
  folder: SafeFolder,
): Promise<{ readonly fingerprint?: string; readonly expires?: Date }> {
  try {
    const pem = await folder.read(CERTIFICATE_FILE, false);
    if (!pem) return {};
    const cert = parseCertificate(pem, CERTIFICATE_FILE);
    return { fingerprint: cert.fingerprint, expires: validityOf(cert).to };
  } catch {
    // The problem is already named: loading the identity met it too.
    return {};
  }
}
