import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { IDENTITY_INDEX_FRESH_MS, IDENTITY_INDEX_MS } from '../../../src/constants.js';
import { KeyIndex } from '../../../src/identity/key-index.js';
import { AppRepository } from '../../../src/identity/repository.js';
import { publicKeyInfo } from '../../../src/identity/x509.js';
import { capturedParty, makeParty } from '../../support/parties.js';
import { tempDir } from '../../support/tmp.js';

const alice = capturedParty('alice');
const bob = capturedParty('bob');
const aliceKey = publicKeyInfo(alice.cert);
const bobKey = publicKeyInfo(bob.cert);

function put(repo: string, owner: string, pin: string, pem: string): string {
  const folder = join(repo, owner, pin);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'cert.crt'), pem);
  return folder;
}

test('an identity is found by its key, and strangers are not', async () => {
  const repo = tempDir();
  put(repo, 'alice@px.test', 'pinA', alice.cert.pem);
  const repository = new AppRepository(repo);
  expect(await repository.findByKey(aliceKey)).toEqual({ owner: 'alice@px.test', pin: 'pinA' });
  expect(await repository.findByKey(bobKey)).toBeUndefined();
  expect(await repository.findByKey(Buffer.from('garbage'))).toBeUndefined();
});

test('of several names of one key the one that matches counts', async () => {
  const repo = tempDir();
  put(repo, 'a', 'one', alice.cert.pem);
  put(repo, 'b', 'two', alice.cert.pem);
  const repository = new AppRepository(repo);
  expect(await repository.findByKey(aliceKey)).toEqual({ owner: 'a', pin: 'one' });
  expect(await repository.findByKey(aliceKey, { owner: 'b' })).toEqual({ owner: 'b', pin: 'two' });
  expect(await repository.findByKey(aliceKey, { owner: 'c' })).toBeUndefined();
});

test('who is trusted just now is known a second later, though strangers asked in between', async () => {
  const repo = tempDir();
  put(repo, 'a', 'one', alice.cert.pem);
  let now = 0;
  const index = new KeyIndex(repo, () => now);
  expect(await index.find(aliceKey)).toHaveLength(1);
  put(repo, 'b', 'two', bob.cert.pem);
  expect(await index.find(bobKey)).toHaveLength(0);
  now += IDENTITY_INDEX_FRESH_MS + 1;
  expect(await index.find(bobKey)).toHaveLength(1);
});

test('who was taken out of the repository is forgotten after a while', async () => {
  const repo = tempDir();
  const folder = put(repo, 'a', 'one', alice.cert.pem);
  let now = 0;
  const index = new KeyIndex(repo, () => now);
  expect(await index.find(aliceKey)).toHaveLength(1);
  rmSync(folder, { recursive: true });
  now = IDENTITY_INDEX_MS + 1;
  expect(await index.find(aliceKey)).toHaveLength(0);
});

test('broken entries spoil no other, a missing repository is empty', async () => {
  const repo = tempDir();
  put(repo, 'a', 'broken', 'no certificate');
  mkdirSync(join(repo, 'a', 'empty'));
  put(repo, 'a', 'sound', alice.cert.pem);
  put(repo, 'not a name', 'x', bob.cert.pem);
  const index = new KeyIndex(repo);
  expect(await index.find(aliceKey)).toEqual([{ owner: 'a', pin: 'sound' }]);
  expect(await index.find(bobKey)).toEqual([]);
  expect(await new KeyIndex(join(repo, 'gone')).find(aliceKey)).toEqual([]);
});

test('500 identities are indexed once for a thousand questions at the same time', async () => {
  const repo = tempDir();
  const other = makeParty('x@px.test/pin');
  for (let n = 0; n < 499; n++) put(repo, `owner${n}`, 'pin', other.cert.pem);
  put(repo, 'the-one', 'pin', alice.cert.pem);
  const index = new KeyIndex(repo, () => 0);
  const all = await Promise.all(Array.from({ length: 1000 }, () => index.find(aliceKey)));
  expect(all.every(([name]) => name?.owner === 'the-one')).toBe(true);
  renameSync(repo, `${repo}.away`);
  expect(await index.find(aliceKey)).toHaveLength(1);
  rmSync(`${repo}.away`, { recursive: true });
});
