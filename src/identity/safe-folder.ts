import { constants, type Stats } from 'node:fs';
import { access, type FileHandle, lstat, mkdir, open, readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { IDENTITY_FILE_MAX_BYTES } from '../constants.js';
import { AwlError } from '../errors.js';
import { octal, shellWord, systemCode, systemReason, unsafe } from './diagnosis.js';

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants;

/** Windows has neither; there the operating system's ACLs have to do. */
const POSIX = typeof process.geteuid === 'function';

/** Whose files are ours: our own, root's, and under sudo those of the user who typed it. */
function trustedOwners(): readonly number[] {
  const own = process.geteuid?.() ?? 0;
  const sudo = own === 0 ? Number.parseInt(process.env['SUDO_UID'] ?? '', 10) : Number.NaN;
  return Number.isNaN(sudo) ? [own, 0] : [own, 0, sudo];
}

function checkOwner(stat: Stats, path: string): void {
  if (!POSIX || trustedOwners().includes(stat.uid)) return;
  throw unsafe(
    `${path} belongs to user ${stat.uid}, who could change it at any time`,
    `make it yours: chown "$(id -un)" ${shellWord(path)}`,
  );
}

/** Writes `path` for open(2) in the folder behind a descriptor: Node has no openat(2), Linux has this. */
const FD_FOLDER = '/proc/self/fd';
let fdFolderWorks: Promise<boolean> | undefined;

/**
 * Opens a folder, hands it to `use` and closes it again.
 * @returns undefined if it is not there
 */
export async function inside<T>(
  opening: Promise<SafeFolder | undefined>,
  use: (folder: SafeFolder) => Promise<T | undefined>,
): Promise<T | undefined> {
  const folder = await opening;
  if (!folder) return undefined;
  try {
    return await use(folder);
  } finally {
    await folder.close();
  }
}

/**
 * A folder held open by descriptor. What is opened through it lies in this very folder, whatever happens to the
 * path meanwhile (on Linux; elsewhere names are resolved again, and the checks on the descriptors remain).
 * Every check is made on an open descriptor, never on a name, so that nothing can be swapped between check and use.
 */
export class SafeFolder {
  readonly path: string;
  /** True if its group may write in it: no ground to refuse it (many systems give each user a group), but one to say so. */
  readonly groupWritable: boolean;
  readonly #handle: FileHandle;
  readonly #base: string;

  private constructor(path: string, handle: FileHandle, base: string, groupWritable: boolean) {
    this.path = path;
    this.groupWritable = groupWritable;
    this.#handle = handle;
    this.#base = base;
  }

  /**
   * Opens the folder that the user named; this one may be a symbolic link, for that is what was asked for.
   * @returns undefined if it is not there
   * @throws AwlError IDENTITY_UNSAFE
   */
  static async open(path: string): Promise<SafeFolder | undefined> {
    let real: string;
    try {
      real = await realpath(path);
    } catch (error) {
      if (['ENOENT', 'ENOTDIR'].includes(systemCode(error))) return undefined;
      throw unreadable(path, error);
    }
    return SafeFolder.#open(real, path);
  }

  /**
   * Opens a folder inside this one.
   * @returns undefined if it is not there
   * @throws AwlError IDENTITY_UNSAFE if it is a symbolic link, somebody else's, or open to everybody
   */
  async enter(name: string): Promise<SafeFolder | undefined> {
    return SafeFolder.#open(this.at(name), join(this.path, name));
  }

  static async #open(at: string, path: string): Promise<SafeFolder | undefined> {
    let handle: FileHandle;
    try {
      handle = await open(at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      // Linux says ENOTDIR both for a file and, with O_NOFOLLOW, for a symbolic link to a folder.
      if (['ENOTDIR', 'ELOOP'].includes(systemCode(error))) {
        throw unsafe(
          `${path} is a symbolic link or a file, not a folder`,
          'put the folder itself there: links could lead out of the app repository',
        );
      }
      throw unreadable(path, error);
    }
    try {
      const stat = await handle.stat();
      checkOwner(stat, path);
      if (POSIX && stat.mode & 0o002) {
        throw unsafe(
          `everybody may write in ${path} (mode ${octal(stat.mode)}), and so swap the identities in it`,
          `take that away: chmod o-w ${shellWord(path)}`,
        );
      }
      fdFolderWorks ??= access(`${FD_FOLDER}/${handle.fd}/.`).then(
        () => true,
        () => false,
      );
      const base = (await fdFolderWorks) ? `${FD_FOLDER}/${handle.fd}` : at;
      return new SafeFolder(path, handle, base, POSIX && (stat.mode & 0o020) !== 0);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** A path for system calls on `name` in this folder; good as long as the folder is open. */
  at(name: string): string {
    return `${this.#base}/${name}`;
  }

  /** Names of the folders in it and of symbolic links, sorted; hidden ones are nobody's identity. */
  async folders(): Promise<string[]> {
    const entries = await readdir(this.at('.'), { withFileTypes: true });
    return entries
      .filter((entry) => !entry.name.startsWith('.') && (entry.isDirectory() || entry.isSymbolicLink()))
      .map((entry) => entry.name)
      .sort();
  }

  /** True if there is anything of this name in it, be it usable or not. */
  async has(name: string): Promise<boolean> {
    return lstat(this.at(name)).then(
      () => true,
      () => false,
    );
  }

  /**
   * Reads a regular file of this folder, following no link.
   * @param secret refuses a file that anybody but its owner may read or write, as ssh does
   * @returns undefined if it is not there
   * @throws AwlError IDENTITY_UNSAFE; IDENTITY_INVALID if larger than 64 kB
   */
  async read(name: string, secret: boolean): Promise<Buffer | undefined> {
    const path = join(this.path, name);
    let handle: FileHandle;
    try {
      // Without O_NONBLOCK a FIFO put there would hold us up for ever.
      handle = await open(this.at(name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      if (systemCode(error) === 'ELOOP') {
        throw unsafe(
          `${path} is a symbolic link`,
          'put the file itself there: links could lead out of the app repository',
        );
      }
      throw unreadable(path, error);
    }
    try {
      const stat = await handle.stat();
      checkFile(stat, path, secret);
      return await readAll(handle, path);
    } finally {
      await handle.close();
    }
  }

  /** Makes a folder for us alone in it; false if something of this name is there. Fails as mkdir(2). */
  async make(name: string): Promise<boolean> {
    try {
      await mkdir(this.at(name), { mode: 0o700 });
      return true;
    } catch (error) {
      if (systemCode(error) === 'EEXIST') return false;
      throw error;
    }
  }

  /** Writes a new file to the disk; never into something that is there, nor through a link. Fails as open(2). */
  async write(name: string, text: string, mode: number): Promise<void> {
    const handle = await open(this.at(name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    try {
      await handle.chmod(mode);
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

function checkFile(stat: Stats, path: string, secret: boolean): void {
  if (!stat.isFile()) {
    throw unsafe(`${path} is not a regular file`, 'put the PEM file itself there');
  }
  checkOwner(stat, path);
  if (!POSIX) return;
  if (secret && stat.mode & 0o077) {
    throw unsafe(
      `the permissions of ${path} are too open (mode ${octal(stat.mode)}): others may read or change this private key`,
      `make it yours alone: chmod 600 ${shellWord(path)} (and if others had the time to read it, make a new identity)`,
    );
  }
  if (stat.mode & 0o002) {
    throw unsafe(
      `everybody may change ${path} (mode ${octal(stat.mode)})`,
      `take that away: chmod o-w ${shellWord(path)}`,
    );
  }
}

/** Reads to the end of the file, whatever size stat named: the file may grow meanwhile. */
async function readAll(handle: FileHandle, path: string): Promise<Buffer> {
  const data = Buffer.alloc(IDENTITY_FILE_MAX_BYTES + 1);
  let size = 0;
  while (size < data.length) {
    const { bytesRead } = await handle.read(data, size, data.length - size, size);
    if (bytesRead === 0) return Buffer.from(data.subarray(0, size));
    size += bytesRead;
  }
  throw new AwlError('IDENTITY_INVALID', `${path} is larger than ${IDENTITY_FILE_MAX_BYTES / 1024} kB`, {
    hint: 'leave only the one PEM block that belongs there',
  });
}

function unreadable(path: string, error: unknown): AwlError {
  return new AwlError('IDENTITY_UNSAFE', `cannot open ${path}: ${systemReason(error)}`, {
    hint: 'give yourself the right to read it, or name another app repository with --app-repo',
    cause: error,
  });
}
