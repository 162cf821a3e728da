import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { formatName } from '../../../src/identity/names.js';
import { AppRepository } from '../../../src/identity/repository.js';
import { placeIdentity } from '../../support/identities.js';
import { refusal } from '../../support/refusal.js';
import { tempDir } from '../../support/tmp.js';

test('every identity is listed with its role, and one bad entry spoils no other', async () => {
  const path = tempDir();
  placeIdentity(path, 'alice@px.test/pinA', { cert: 'alice.crt', key: 'alice.key', ca: 'ca.crt' });
  placeIdentity(path, 'bob@px.test/pinB', { cert: 'bob.crt' });
  const loose = placeIdentity(path, 'carol@px.test/1', { cert: 'alice.crt', key: 'alice.key' });
  chmodSync(join(loose, 'private.key'), 0o640);
  mkdirSync(join(path, 'dave@px.test/empty'), { recursive: true });
  const broken = placeIdentity(path, 'erin@px.test/1', {});
  writeFileSync(join(broken, 'cert.crt'), 'no certificate');
  placeIdentity(path, 'fred@px.test/1', { cert: 'weak.crt' });
  symlinkSync(loose, join(path, 'bob@px.test/link'));
  writeFileSync(join(path, 'awl.ini'), '');

  const entries = await new AppRepository(path).list();
  const found = Object.fromEntries(entries.map((entry) => [formatName(entry.name), entry]));
  expect(Object.keys(found)).toEqual([
    'alice@px.test/pinA',
    'bob@px.test/link',
    'bob@px.test/pinB',
    'carol@px.test/1',
    'dave@px.test/empty',
    'erin@px.test/1',
    'fred@px.test/1',
  ]);
  // Own ones alone are the same, whatever is wrong with them, and cost no look at the peers'.
  expect(await new AppRepository(path).own()).toEqual(entries.filter(({ role }) => role === 'host'));
  expect(found['alice@px.test/pinA']).toMatchObject({
    role: 'host',
    usable: true,
    present: ['cert.crt', 'private.key', 'ca.crt'],
    missing: [],
    problems: [],
    fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
  expect(found['alice@px.test/pinA']?.expires?.getUTCFullYear()).toBe(2126);
  expect(found['bob@px.test/pinB']).toMatchObject({ role: 'peer', usable: true, missing: [], problems: [] });
  expect(found['carol@px.test/1']).toMatchObject({
    role: 'host',
    usable: false,
    fingerprint: found['alice@px.test/pinA']?.fingerprint,
    problems: [expect.stringMatching(/too open \(mode 0640\).*chmod 600/)],
  });
  expect(found['dave@px.test/empty']).toMatchObject({ role: 'peer', usable: false, missing: ['cert.crt'] });
  expect(found['erin@px.test/1']?.problems).toEqual([expect.stringContaining('holds no PEM certificate')]);
  expect(found['fred@px.test/1']?.problems).toEqual([expect.stringContaining('1024 bits')]);
  expect(found['bob@px.test/link']).toMatchObject({
    usable: false,
    problems: [expect.stringContaining('symbolic link')],
  });
});

test('folders that cannot be identities are named, not passed over and not followed', async () => {
  const path = tempDir();
  placeIdentity(path, 'bob@px.test/pinB', { cert: 'bob.crt' });
  mkdirSync(join(path, 'bob smith/1'), { recursive: true });
  mkdirSync(join(path, 'bob@px.test/-x'));
  symlinkSync('/', join(path, 'root'));
  mkdirSync(join(path, '.git/objects'), { recursive: true });
  const survey = await new AppRepository(path).survey();
  expect(survey.entries).toHaveLength(1);
  expect(survey.problems).toEqual([
    expect.stringContaining('"bob smith"'),
    expect.stringContaining('"-x"'),
    expect.stringContaining(`${path}/root is a symbolic link`),
  ]);
});

test('a group that may write into a key’s folder is worth a word, but no refusal', async () => {
  const path = tempDir();
  const folder = placeIdentity(path, 'alice@px.test/pinA', { cert: 'alice.crt', key: 'alice.key' });
  chmodSync(folder, 0o770);
  const [entry] = await new AppRepository(path).list();
  expect(entry).toMatchObject({ usable: true, problems: [expect.stringContaining('chmod g-w')] });
});

test('an expired identity is listed with its date and the problem', async () => {
  const path = tempDir();
  placeIdentity(path, 'bob@px.test/pinB', { cert: 'bob.crt' });
  const [entry] = await new AppRepository(path, { now: () => new Date('2200-01-01') }).list();
  expect(entry).toMatchObject({ usable: false, problems: [expect.stringContaining('was valid until 2126')] });
  expect(entry?.expires?.getUTCFullYear()).toBe(2126);
});

test('a repository that is not there is empty; one that everybody may write to is refused as a whole', async () => {
  expect(await new AppRepository('/nowhere/at/all').list()).toEqual([]);
  const path = tempDir();
  chmodSync(path, 0o777);
  expect((await refusal(() => new AppRepository(path).list())).code).toBe('IDENTITY_UNSAFE');
});
