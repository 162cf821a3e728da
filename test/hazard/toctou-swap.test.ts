import { chmodSync, linkSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { isAwlError } from '../../src/errors.js';
import { parseName } from '../../src/identity/names.js';
import { AppRepository } from '../../src/identity/repository.js';
import { inside, SafeFolder } from '../../src/identity/safe-folder.js';
import { parseCertificate } from '../../src/identity/x509.js';
import { fixture, placeIdentity } from '../support/identities.js';
import { tempDir } from '../support/tmp.js';

const SWAPS = 10_000;

// Renames `a` and `b` in turn over `name`, as fast as the kernel can; both stay available as hard or symbolic links.
const SWAPPER = `
  const fs = require('node:fs');
  const { workerData, parentPort } = require('node:worker_threads');
  const { folder, name, moves, shared } = workerData;
  const [STOP, COUNT] = [0, 1];
  const at = (file) => folder + '/' + file;
  for (let i = 0; Atomics.load(shared, STOP) === 0; i += 1) {
    if (moves) {
      // A folder cannot be renamed over a link: out with the one, in with the other.
      fs.renameSync(at(name), at(i % 2 ? 'b' : 'a'));
      fs.renameSync(at(i % 2 ? 'a' : 'b'), at(name));
    } else {
      const source = at(i % 2 ? 'a' : 'b');
      const stat = fs.lstatSync(source);
      if (stat.isSymbolicLink()) fs.symlinkSync(fs.readlinkSync(source), at('next'));
      else fs.linkSync(source, at('next'));
      fs.renameSync(at('next'), at(name));
    }
    Atomics.add(shared, COUNT, 1);
  }
  parentPort.postMessage('done');
`;

/** Calls `load` while a thread swaps, until there were enough swaps and both outcomes; returns what came out. */
async function race<T>(
  workerData: { folder: string; name: string; moves: boolean },
  load: () => Promise<T>,
): Promise<{ readonly loaded: Set<T>; readonly refused: number; readonly swaps: number }> {
  const shared = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(SWAPPER, { eval: true, workerData: { ...workerData, shared } });
  const done = new Promise<void>((resolve, reject) => {
    worker.once('message', () => resolve());
    worker.once('error', reject);
  });
  const loaded = new Set<T>();
  let [successes, refused, swaps] = [0, 0, 0];
  const end = Date.now() + 15_000;
  try {
    while ((swaps < SWAPS || successes < 50 || refused < 50) && Date.now() < end) {
      try {
        loaded.add(await load());
        successes += 1;
      } catch (error) {
        if (!isAwlError(error)) throw error;
        refused += 1;
      }
      swaps = Atomics.load(shared, 1);
    }
    Atomics.store(shared, 0, 1);
    await done;
  } finally {
    await worker.terminate();
  }
  return { loaded, refused, swaps };
}

/** Reads private.key of `folder` as the repository does; undefined if it was not there. */
async function readKey(folder: string): Promise<string | undefined> {
  return inside(SafeFolder.open(folder), async (open) => (await open.read('private.key', true))?.toString());
}

test('10 000 swaps of a key with a link to another key: the other is never read', async () => {
  const folder = tempDir();
  const evil = join(tempDir(), 'private.key');
  writeFileSync(evil, 'evil', { mode: 0o600 });
  writeFileSync(join(folder, 'a'), 'good', { mode: 0o600 });
  linkSync(join(folder, 'a'), join(folder, 'private.key'));
  symlinkSync(evil, join(folder, 'b'));
  const { loaded, refused, swaps } = await race({ folder, name: 'private.key', moves: false }, () =>
    readKey(folder),
  );
  expect(loaded).toEqual(new Set(['good']));
  expect(refused).toBeGreaterThanOrEqual(50);
  expect(swaps).toBeGreaterThanOrEqual(SWAPS);
});

test('10 000 swaps of a key with one that others may read: the loose one is never used', async () => {
  const folder = tempDir();
  writeFileSync(join(folder, 'a'), 'good', { mode: 0o600 });
  writeFileSync(join(folder, 'b'), 'loose');
  chmodSync(join(folder, 'b'), 0o644);
  linkSync(join(folder, 'a'), join(folder, 'private.key'));
  const { loaded, refused, swaps } = await race({ folder, name: 'private.key', moves: false }, () =>
    readKey(folder),
  );
  expect(loaded).toEqual(new Set(['good']));
  expect(refused).toBeGreaterThanOrEqual(50);
  expect(swaps).toBeGreaterThanOrEqual(SWAPS);
});

// Elsewhere there is no way to open a name inside a descriptor, see docs/IDENTITIES.md.
test.skipIf(process.platform !== 'linux').each(['alice@px.test', 'alice@px.test/pinA'])(
  '10 000 swaps of the folder %s with a link to a complete foreign identity: it is never loaded',
  async (part) => {
    const repo = tempDir();
    const evil = tempDir();
    placeIdentity(repo, 'alice@px.test/pinA', { cert: 'alice.crt', key: 'alice.key' });
    placeIdentity(evil, 'alice@px.test/pinA', { cert: 'bob.crt', key: 'bob.key' });
    const folder = join(repo, part, '..');
    const name = part.split('/').at(-1) ?? '';
    symlinkSync(join(evil, part), join(folder, 'b'));
    const alice = parseCertificate(fixture('alice.crt'), 'alice').fingerprint;
    const host = () => new AppRepository(repo).host(parseName('alice@px.test/pinA'));
    const { loaded, refused, swaps } = await race(
      { folder, name, moves: true },
      async () => (await host()).cert.fingerprint,
    );
    expect(loaded).toEqual(new Set([alice]));
    expect(refused).toBeGreaterThanOrEqual(50);
    expect(swaps).toBeGreaterThanOrEqual(SWAPS);
  },
);

test.skipIf(process.platform !== 'linux')(
  'a folder that was moved away while open is still the one that is read, not the one now in its place',
  async () => {
    const repo = tempDir();
    const folder = join(repo, 'pin');
    mkdirSync(folder);
    writeFileSync(join(folder, 'private.key'), 'good', { mode: 0o600 });
    const key = await inside(SafeFolder.open(folder), async (open) => {
      renameSync(folder, join(repo, 'moved'));
      mkdirSync(folder);
      writeFileSync(join(folder, 'private.key'), 'evil', { mode: 0o600 });
      return open.read('private.key', true);
    });
    expect(key?.toString()).toBe('good');
  },
);
