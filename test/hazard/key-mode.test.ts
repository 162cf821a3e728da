import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseName } from '../../src/identity/names.js';
import { AppRepository } from '../../src/identity/repository.js';
import { placeIdentity } from '../support/identities.js';
import { needs } from '../support/needs.js';
import { refusal } from '../support/refusal.js';
import { tempDir } from '../support/tmp.js';

const alice = parseName('alice@px.test/pinA');

function repository(): { path: string; folder: string; repo: AppRepository } {
  const path = tempDir();
  const folder = placeIdentity(path, 'alice@px.test/pinA', { cert: 'alice.crt', key: 'alice.key' });
  return { path, folder, repo: new AppRepository(path) };
}

test('of all 512 permissions a private key is used only with those that keep group and others out', async () => {
  const { folder, repo } = repository();
  const key = join(folder, 'private.key');
  const root = process.getuid?.() === 0;
  for (let mode = 0; mode < 0o1000; mode += 1) {
    chmodSync(key, mode);
    const usable = (mode & 0o077) === 0 && (root || (mode & 0o400) !== 0);
    if (usable) {
      expect((await repo.host(alice)).key.type, mode.toString(8)).toBe('private');
    } else {
      expect((await refusal(() => repo.host(alice))).code, mode.toString(8)).toBe('IDENTITY_UNSAFE');
    }
  }
});

test('the refusal is worded as ssh words it: the file, its mode, and the command that mends it', async () => {
  const { folder, repo } = repository();
  const key = join(folder, 'private.key');
  chmodSync(key, 0o644);
  const error = await refusal(() => repo.host(alice));
  expect(error.message).toContain(`the permissions of ${key} are too open (mode 0644)`);
  expect(error.hint).toContain(`chmod 600 ${key}`);
  execFileSync('chmod', ['600', key]);
  expect((await repo.host(alice)).key.type).toBe('private');
});

test('the command in the hint survives a path with blanks and quotes', async () => {
  const path = join(tempDir(), "my 'own' repo");
  const folder = placeIdentity(path, 'alice@px.test/pinA', { cert: 'alice.crt', key: 'alice.key' });
  chmodSync(join(folder, 'private.key'), 0o644);
  const error = await refusal(() => new AppRepository(path).host(alice));
  const command = /: (chmod 600 .*) \(and/.exec(error.hint ?? '')?.[1] ?? 'false';
  execFileSync('/bin/sh', ['-c', command]);
  expect(statSync(join(folder, 'private.key')).mode & 0o777).toBe(0o600);
});

test.each(['.', 'alice@px.test', 'alice@px.test/pinA'])(
  'the folder %s that everybody may write in is refused, for hosts and for peers: its content can be swapped',
  async (part) => {
    const { path, repo } = repository();
    chmodSync(join(path, part), 0o777);
    for (const role of ['host', 'peer'] as const) {
      const error = await refusal(() => repo[role](alice));
      expect(error.code).toBe('IDENTITY_UNSAFE');
      expect(error.hint).toContain(`chmod o-w ${join(path, part)}`);
    }
  },
);

test('a certificate that everybody may change pins nothing and is refused', async () => {
  const { folder, repo } = repository();
  chmodSync(join(folder, 'cert.crt'), 0o666);
  expect((await refusal(() => repo.peer(alice))).code).toBe('IDENTITY_UNSAFE');
  chmodSync(join(folder, 'cert.crt'), 0o644);
  placeIdentity(repo.path, 'alice@px.test/pinA', { ca: 'ca.crt' });
  chmodSync(join(folder, 'ca.crt'), 0o646);
  expect((await refusal(() => repo.peer(alice))).code).toBe('IDENTITY_UNSAFE');
});

describe('something else than a file in the place of one neither hangs nor crashes', () => {
  test.each(['private.key', 'cert.crt', 'ca.crt'])('a folder named %s', async (file) => {
    const { folder, repo } = repository();
    rmSync(join(folder, file), { force: true });
    mkdirSync(join(folder, file));
    const error = await refusal(() => repo.host(alice));
    expect([error.code, error.message]).toEqual([
      'IDENTITY_UNSAFE',
      `${join(folder, file)} is not a regular file`,
    ]);
  });

  test.skipIf(!needs('mkfifo'))('a FIFO, which would hold up whoever opens it', async () => {
    const { folder, repo } = repository();
    rmSync(join(folder, 'private.key'));
    execFileSync('mkfifo', ['-m', '600', join(folder, 'private.key')]);
    expect((await refusal(() => repo.host(alice))).message).toContain('is not a regular file');
  });

  test('a socket', async () => {
    const { folder, repo } = repository();
    rmSync(join(folder, 'private.key'));
    const server = createServer().listen(join(folder, 'private.key'));
    try {
      await new Promise((resolve) => server.once('listening', resolve));
      expect((await refusal(() => repo.host(alice))).code).toBe('IDENTITY_UNSAFE');
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  test('an endless file is read no further than 64 kB', async () => {
    const { folder, repo } = repository();
    writeFileSync(join(folder, 'private.key'), Buffer.alloc(1024 * 1024, 'A'));
    const error = await refusal(() => repo.host(alice));
    expect([error.code, error.message]).toEqual([
      'IDENTITY_INVALID',
      `${folder}/private.key is larger than 64 kB`,
    ]);
    writeFileSync(join(folder, 'cert.crt'), Buffer.alloc(64 * 1024 + 1, '\n'));
    expect((await refusal(() => repo.peer(alice))).message).toContain('cert.crt is larger than 64 kB');
  });
});
