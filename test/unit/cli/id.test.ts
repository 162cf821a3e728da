import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { type IdIo, runId } from '../../../src/cli/id.js';
import { parseName } from '../../../src/identity/names.js';
import { AppRepository } from '../../../src/identity/repository.js';
import { fixture, placeIdentity } from '../../support/identities.js';
import { refusal } from '../../support/refusal.js';
import { tempDir } from '../../support/tmp.js';

interface Machine {
  readonly home: string;
  run(command: string, options?: { json?: boolean; stdin?: string; now?: Date }): Promise<string>;
  /** What the last command said beside its output. */
  said(): string;
}

/** A person's machine: a home folder with a repository in it, and a terminal. */
function machine(): Machine {
  const home = tempDir();
  let said = '';
  return {
    home,
    said: () => said,
    async run(command, options = {}) {
      let out = '';
      said = '';
      const io: IdIo = {
        stdout: (text) => {
          out += text;
        },
        stderr: (text) => {
          said += text;
        },
        cwd: home,
        now: options.now ?? new Date(),
        json: options.json ?? false,
        repo: 'apprepo',
        ...(options.stdin !== undefined && { stdin: Readable.from([options.stdin]) }),
      };
      expect(await runId(command.split(' '), io)).toBe(0);
      return out;
    },
  };
}

test('two people who never met get two working repositories in four commands', async () => {
  const ann = machine();
  const ben = machine();
  await ann.run('init ann@px.test/laptop --out ann.awl');
  await ben.run('init ben@px.test/nas --out ben.awl');
  // The two files go by mail.
  writeFileSync(join(ann.home, 'from-ben'), readFileSync(join(ben.home, 'ben.awl')));
  writeFileSync(join(ben.home, 'from-ann'), readFileSync(join(ann.home, 'ann.awl')));
  await ann.run('trust from-ben');
  await ben.run('trust from-ann');

  const [a, b] = [parseName('ann@px.test/laptop'), parseName('ben@px.test/nas')];
  for (const [home, own, other] of [
    [ann.home, a, b],
    [ben.home, b, a],
  ] as const) {
    const repo = new AppRepository(join(home, 'apprepo'));
    const host = await repo.host(own);
    const peer = await repo.peer(other);
    expect(host.cert.x509.checkPrivateKey(host.key)).toBe(true);
    expect(peer.cert.x509.subject).toBe(`CN=${other.owner}`);
    expect((await repo.list()).every(({ usable, problems }) => usable && problems.length === 0)).toBe(true);
    expect((await refusal(() => repo.host(other))).code).toBe('IDENTITY_MISSING');
  }
});

test('the same through a pipe: what init or export prints, trust - takes', async () => {
  const ann = machine();
  const ben = machine();
  const bundle = await ann.run('init ann@px.test/laptop');
  const made = ann.said();
  expect(bundle).toBe(await ann.run('export'));
  expect(bundle).toBe(await ann.run('export ann@px.test/laptop'));
  const trusted = await ben.run('trust -', { stdin: bundle });
  const fingerprint = /fingerprint\s+(.+)\n\s+(.+)\n/.exec(made);
  expect(trusted).toContain(fingerprint?.[0] ?? '-');
  expect(bundle).toContain(`${fingerprint?.[1]} ${fingerprint?.[2]}`);
  expect(trusted).toContain('ask ann@px.test');
  expect(await ben.run('trust -', { stdin: bundle })).toContain('already trusted');
});

test('list shows who is who, until when, and what is missing', async () => {
  const now = new Date('2026-12-01T00:00:00Z');
  const ann = machine();
  expect(await ann.run('list')).toMatch(
    /^no identity in .*\/apprepo; make yours with: awl id init owner\/pin\n$/,
  );
  await ann.run('init ann@px.test/laptop', { now });
  placeIdentity(join(ann.home, 'apprepo'), 'bob@px.test/pinB', { cert: 'bob.crt' });
  placeIdentity(join(ann.home, 'apprepo'), 'eve@px.test/1', {});
  placeIdentity(join(ann.home, 'apprepo'), 'weak@px.test/1', { cert: 'weak.crt' });
  const lines = (await ann.run('list', { now })).split('\n');
  expect(lines[0]).toBe('IDENTITY            ROLE  FINGERPRINT          EXPIRES     MISSING');
  expect(lines[1]).toMatch(/^ann@px\.test\/laptop {2}host {2}([0-9a-f]{4} ){4} 2036-12-01 {2}-$/);
  expect(lines[2]).toMatch(/^bob@px\.test\/pinB +peer {2}([0-9a-f]{4} ){4} 2126-\d\d-\d\d {2}-$/);
  expect(lines[3]).toMatch(/^eve@px\.test\/1 +peer {2}- +- +cert\.crt$/);
  expect(lines[5]).toMatch(/^ {2}! .*1024 bits/);
  expect(await ann.run('list --long', { now })).toMatch(/host {2}([0-9a-f]{4} ){16}/);
});

test('list --json is one object a line', async () => {
  const ann = machine();
  const now = new Date('2026-12-01T00:00:00Z');
  await ann.run('init ann@px.test/laptop', { now });
  placeIdentity(join(ann.home, 'apprepo'), 'eve@px.test/1', {});
  placeIdentity(join(ann.home, 'apprepo'), 'two words/1', {});
  const lines = (await ann.run('list', { json: true, now }))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines).toEqual([
    {
      event: 'identity',
      identity: 'ann@px.test/laptop',
      role: 'host',
      usable: true,
      fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/),
      expires: '2036-12-01T00:00:00.000Z',
      present: ['cert.crt', 'private.key'],
      missing: [],
      problems: [],
    },
    expect.objectContaining({
      identity: 'eve@px.test/1',
      usable: false,
      fingerprint: null,
      missing: ['cert.crt'],
    }),
    { event: 'identity-problem', message: expect.stringContaining('"two words"') },
  ]);
});

test('init, export and trust speak JSON too, and print nothing else', async () => {
  const ann = machine();
  const ben = machine();
  const created = JSON.parse(await ann.run('init ann@px.test/laptop', { json: true }));
  expect(created).toMatchObject({
    event: 'identity-created',
    identity: 'ann@px.test/laptop',
    outcome: 'created',
  });
  const exported = JSON.parse(await ann.run('export', { json: true }));
  const trusted = JSON.parse(await ben.run('trust -', { json: true, stdin: exported.bundle }));
  expect(trusted).toMatchObject({
    event: 'identity-trusted',
    outcome: 'added',
    fingerprint: created.fingerprint,
  });
});

test('init --out with a file that is there makes no identity: its file could not be had afterwards', async () => {
  const ann = machine();
  writeFileSync(join(ann.home, 'taken'), '');
  expect((await refusal(() => ann.run('init ann@px.test/laptop --out taken'))).code).toBe('FILE_EXISTS');
  expect(existsSync(join(ann.home, 'apprepo'))).toBe(false);
});

test('export writes a file once, and never over another', async () => {
  const ann = machine();
  await ann.run('init ann@px.test/laptop --bits 2048');
  expect(await ann.run('export --out ann.awl')).toBe('wrote ann@px.test/laptop to ann.awl\n');
  expect(statSync(join(ann.home, 'ann.awl')).mode & 0o022).toBe(0);
  expect((await refusal(() => ann.run('export --out ann.awl'))).code).toBe('FILE_EXISTS');
  expect((await refusal(() => ann.run('export --out no/such/place'))).code).toBe('FILE_WRITE');
  expect((await refusal(() => ann.run('export --out .'))).code).toMatch(/^FILE_/);
});

test('export without a name is clear when there is one identity of ours, and asks otherwise', async () => {
  const ann = machine();
  expect((await refusal(() => ann.run('export'))).hint).toContain('awl id init');
  await ann.run('init ann@px.test/laptop');
  await ann.run('init ann@px.test/nas');
  const error = await refusal(() => ann.run('export'));
  expect([error.code, error.message]).toEqual([
    'USAGE_MISSING',
    expect.stringContaining('ann@px.test/laptop, ann@px.test/nas'),
  ]);
});

test('a plain certificate made by openssl is trusted with --as, and --replace takes a new one', async () => {
  const ann = machine();
  writeFileSync(join(ann.home, 'a.crt'), fixture('alice.text.crt'));
  writeFileSync(join(ann.home, 'b.crt'), fixture('bob.crt'));
  expect((await refusal(() => ann.run('trust a.crt'))).hint).toContain('--as owner/pin');
  expect(await ann.run('trust a.crt --as alice@px.test/1')).toContain('now trusts alice@px.test/1');
  expect((await refusal(() => ann.run('trust b.crt --as alice@px.test/1'))).code).toBe('FILE_EXISTS');
  expect(await ann.run('trust b.crt --as alice@px.test/1 --replace')).toContain('now trusts the new key of');
});

test('a source without end is read no further than one identity can be', async () => {
  const ann = machine();
  let pulled = 0;
  async function* endless() {
    for (;;) {
      pulled += 1;
      yield Buffer.alloc(16_384, 'A');
    }
  }
  const io = {
    stdout() {},
    stderr() {},
    cwd: ann.home,
    now: new Date(),
    json: false,
    repo: 'apprepo',
    stdin: endless(),
  };
  const error = await refusal(() => runId(['trust', '-'], io));
  expect([error.code, error.message]).toEqual(['IDENTITY_INVALID', 'standard input is larger than 64 kB']);
  expect(pulled).toBe(5);
});

test.each([
  ['', 'USAGE_MISSING'],
  ['destroy', 'USAGE_UNKNOWN_COMMAND'],
  ['init', 'USAGE_MISSING'],
  ['init a/b c/d', 'USAGE_BAD_VALUE'],
  ['init ../x', 'IDENTITY_NAME'],
  ['init a', 'IDENTITY_NAME'],
  ['init a/b --bits 1024', 'USAGE_BAD_VALUE'],
  ['init a/b --bits', 'USAGE_BAD_VALUE'],
  ['init a/b --colour red', 'USAGE_UNKNOWN_OPTION'],
  ['export a/b', 'IDENTITY_MISSING'],
  ['trust', 'USAGE_MISSING'],
  ['trust missing.awl', 'IDENTITY_MISSING'],
  ['trust .', 'IDENTITY_MISSING'],
  ['list a/b', 'USAGE_BAD_VALUE'],
])('"awl id %s" is an error that names the trouble and the cure', async (command, code) => {
  const ann = machine();
  const args = command === '' ? [] : command.split(' ');
  const io = { stdout() {}, stderr() {}, cwd: ann.home, now: new Date(), json: false, repo: 'apprepo' };
  const error = await refusal(() => runId(args, io));
  expect(error.code, error.message).toBe(code);
  expect(error.hint).toBeTruthy();
});
