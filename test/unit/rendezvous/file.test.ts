import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openFile } from '../../../src/rendezvous/file.js';
import type { Rendezvous } from '../../../src/rendezvous/types.js';
import { ALICE, CONTEXT, filterFor, invitation, Listening } from '../../support/backend-contract.js';

let base: string;
let folder: string;
let rendezvous: Rendezvous;
const signal = () => AbortSignal.timeout(5000);

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'awl-file-'));
  folder = join(base, 'deep', 'meeting');
  rendezvous = await openFile(folder, CONTEXT);
});
afterEach(async () => {
  await rendezvous.close();
  await rm(base, { recursive: true, force: true });
});

test('folder and letters are closed to others', async () => {
  await rendezvous.prepare(signal());
  await rendezvous.push(invitation('x'), signal());
  const [name = ''] = await readdir(folder);
  expect((await stat(folder)).mode & 0o777).toBe(0o700);
  expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600);
});

test('a folder that was there keeps the mode that its owner gave it', async () => {
  await mkdir(folder, { recursive: true, mode: 0o770 });
  const before = (await stat(folder)).mode;
  await rendezvous.prepare(signal());
  expect((await stat(folder)).mode).toBe(before);
});

test.each(['../../escape', 'a/b', '.', 'x\0y', '-rf', '{"awl":1}\n'])(
  'the app %j never becomes part of a path',
  async (app) => {
    await rendezvous.prepare(signal());
    const letter = invitation(app);
    const letters = new Listening(rendezvous, filterFor(letter));
    await rendezvous.push(letter, signal());
    expect(await letters.take(1)).toMatchObject([{ app }]);
    expect(await readdir(base)).toEqual(['deep']);
    expect((await readdir(folder)).every((name) => /^[0-9a-f]{32}-[0-9a-f]{24}\.awl$/.test(name))).toBe(true);
    await letters.stop();
  },
);

test('no half-written letter is ever seen: it is complete before it gets its name', async () => {
  await rendezvous.prepare(signal());
  const letters = new Listening(rendezvous, filterFor(invitation('x')));
  await writeFile(join(folder, `.${'a'.repeat(32)}-${'b'.repeat(24)}.part`), '{"awl":1');
  await rendezvous.push(invitation('x'), signal());
  expect(await letters.take(1)).toHaveLength(1);
  expect((await readdir(folder)).filter((name) => name.endsWith('.part'))).toHaveLength(1);
  await letters.stop();
});

test('links, pipes and folders with the name of a letter are not opened', async () => {
  await rendezvous.prepare(signal());
  const name = (n: number) => join(folder, `${String(n).repeat(32)}-${String(n).repeat(24)}.awl`);
  const secret = join(base, 'secret');
  await writeFile(
    secret,
    `{"awl":1,"app":"x","kind":"invite","form":"plain","from":${JSON.stringify(ALICE)}}\nx`,
  );
  await symlink(secret, name(1));
  execFileSync('mkfifo', [name(2)]);
  await mkdir(name(3));
  const letters = new Listening(rendezvous, { app: 'x', kind: 'invite', from: {}, to: {} });
  await rendezvous.push(invitation('x'), signal());
  expect(await letters.take(1)).toHaveLength(1);
  expect(letters.got).toHaveLength(1);
  await letters.stop();
});

test.each([
  ['no JSON', 'hello\nworld'],
  ['another version', '{"awl":2}\nx'],
  ['null', 'null\nx'],
  ['a number', '7\nx'],
  [
    'an unknown kind',
    JSON.stringify({ awl: 1, app: 'x', kind: 'advent', form: 'plain', from: ALICE, to: ALICE }),
  ],
  [
    'a name that is a path',
    JSON.stringify({
      awl: 1,
      app: 'x',
      kind: 'invite',
      form: 'plain',
      from: { owner: '..', pin: 'x' },
      to: ALICE,
    }),
  ],
  [
    'a name that is no name',
    JSON.stringify({ awl: 1, app: 'x', kind: 'invite', form: 'plain', from: 7, to: ALICE }),
  ],
  ['a head without an end', 'x'.repeat(2000)],
  [
    'no content',
    `${JSON.stringify({ awl: 1, app: 'x', kind: 'invite', form: 'plain', from: ALICE, to: ALICE })}\n`,
  ],
])('a letter with %s is ignored and left alone', async (_name, text) => {
  await rendezvous.prepare(signal());
  const path = join(folder, `${'0'.repeat(32)}-${'0'.repeat(24)}.awl`);
  await writeFile(path, text.includes('\n') ? text : `${text}\nx`);
  const letters = new Listening(rendezvous, { app: 'x', kind: 'invite', from: {}, to: {} });
  await rendezvous.push(invitation('x'), signal());
  expect(await letters.take(1)).toHaveLength(1);
  expect(letters.got).toHaveLength(1);
  expect((await stat(path)).isFile()).toBe(true);
  await letters.stop();
});

test('letters of yesterday are cleaned up; files of other people never', async () => {
  await rendezvous.prepare(signal());
  await rendezvous.push(invitation('x'), signal());
  const [old = ''] = await readdir(folder);
  const foreign = [`${'c'.repeat(32)}-${'c'.repeat(24)}.awl`, 'holiday.jpg', 'letter.awl'];
  for (const name of foreign) await writeFile(join(folder, name), 'not a letter');
  const yesterday = new Date(Date.now() - 24 * 3600_000);
  for (const name of [old, ...foreign]) await utimes(join(folder, name), yesterday, yesterday);
  await rendezvous.push(invitation('x'), signal());
  await rendezvous.prepare(signal());
  const left = await readdir(folder);
  expect(left).not.toContain(old);
  expect(left).toEqual(expect.arrayContaining(foreign));
  expect(left).toHaveLength(foreign.length + 1);
});

test('a letter beyond the cap is refused by the sender', async () => {
  const letter = { ...invitation('x'), bytes: Buffer.alloc(70_000) };
  await expect(rendezvous.push(letter, signal())).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' });
});

test('a folder that cannot be is named, with the cure', async () => {
  await writeFile(join(base, 'file'), '');
  const bad = await openFile(join(base, 'file'), CONTEXT);
  await expect(bad.prepare(signal())).rejects.toMatchObject({
    code: 'RENDEZVOUS_UNREACHABLE',
    message: expect.stringContaining(join(base, 'file')),
    hint: expect.stringContaining('read and write'),
  });
  await bad.close();
});

test('an invitation that is older than its sender’s patience is not delivered', async () => {
  await rendezvous.prepare(signal());
  await rendezvous.push(invitation('x', 'stale'), signal());
  const [name = ''] = await readdir(folder);
  const ago = new Date(Date.now() - 90_000);
  await utimes(join(folder, name), ago, ago);
  await rendezvous.prepare(signal());
  const letters = new Listening(rendezvous, filterFor(invitation('x')));
  await rendezvous.push(invitation('x', 'fresh'), signal());
  const [first] = await letters.take(1);
  expect(Buffer.from(first?.bytes ?? []).toString()).toContain('fresh');
  expect(letters.got).toHaveLength(1);
  await letters.stop();
});

test('every byte value comes through', async () => {
  await rendezvous.prepare(signal());
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  const letter = { ...invitation('x'), bytes };
  const letters = new Listening(rendezvous, filterFor(letter));
  await rendezvous.push(letter, signal());
  const [envelope] = await letters.take(1);
  expect(Buffer.from(envelope?.bytes ?? []).equals(bytes)).toBe(true);
  await letters.stop();
});
