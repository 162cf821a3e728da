import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { StatusBoard } from '../../../src/session/board.js';
import { askStatus, serveStatus } from '../../../src/session/status-socket.js';
import { tempDir } from '../../support/tmp.js';

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

async function serving(state: string) {
  const board = new StatusBoard({ mode: 'invite', app: 'a', host: 'a/b' });
  const server = await serveStatus(state, () => board.snapshot());
  cleanup.push(server.close);
  return server;
}

/** A socket whose process says nothing, nonsense, or never stops. */
async function squatting(path: string, act: (socket: Socket) => void): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    act(socket);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  cleanup.push(() => server.close());
  return server;
}

test('every process that serves is found, and none that has ended', async () => {
  const state = tempDir();
  expect(await askStatus(state)).toEqual([]);
  const [first] = [await serving(state), await serving(state)];
  expect(await askStatus(state)).toMatchObject([{ app: 'a' }, { app: 'a' }]);
  await first.close();
  expect(existsSync(first.path)).toBe(false);
  expect(await askStatus(state)).toHaveLength(1);
});

test('folder and socket are for their owner alone', async () => {
  const state = tempDir();
  const { path } = await serving(state);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(statSync(join(state, 'status')).mode & 0o777).toBe(0o700);
});

test('a folder that others may enter, a link, and a file in its place are refused', async () => {
  const open = tempDir();
  mkdirSync(join(open, 'status'));
  chmodSync(join(open, 'status'), 0o755);
  const linked = tempDir();
  symlinkSync(tempDir(), join(linked, 'status'));
  const file = tempDir();
  writeFileSync(join(file, 'status'), '');
  for (const state of [open, linked, file]) {
    await expect(askStatus(state)).rejects.toMatchObject({ code: 'FILE_WRITE' });
    await expect(serving(state)).rejects.toMatchObject({ code: 'FILE_WRITE' });
  }
});

test('what a crashed process left is removed; what is no socket stays', async () => {
  const state = tempDir();
  await serving(state);
  const folder = join(state, 'status');
  const dead = join(folder, '1-dead.sock');
  const server = await squatting(dead, () => {});
  // Closing the descriptor without unlinking is what a killed process leaves.
  renameSync(dead, `${dead}.kept`);
  await new Promise((resolve) => server.close(resolve));
  renameSync(`${dead}.kept`, dead);
  writeFileSync(join(folder, '2-file.sock'), 'x');
  expect(await askStatus(state)).toHaveLength(1);
  expect(readdirSync(folder).filter((name) => name.startsWith('1-'))).toEqual([]);
  expect(existsSync(join(folder, '2-file.sock'))).toBe(true);
  unlinkSync(join(folder, '2-file.sock'));
});

test('a process that is silent, talks nonsense or without end keeps nobody from the others', async () => {
  const state = tempDir();
  await serving(state);
  const folder = join(state, 'status');
  await squatting(join(folder, '1-silent.sock'), () => {});
  await squatting(join(folder, '2-nonsense.sock'), (socket) => socket.end('{"pid": "x"'));
  const flood = Buffer.alloc(64 * 1024, 'x');
  await squatting(join(folder, '3-flood.sock'), (socket) => {
    const more = () => {
      while (!socket.destroyed && socket.write(flood)) {}
    };
    socket.on('drain', more);
    more();
  });
  expect(await askStatus(state)).toHaveLength(1);
});

test('whoever asks and does not read is hung up on', async () => {
  const { path } = await serving(tempDir());
  const client = connect(path);
  cleanup.push(() => client.destroy());
  client.on('error', () => {});
  await once(client, 'connect');
  client.resume();
  await once(client, 'close');
});

test('a state folder whose name does not fit a socket is refused with a cure', async () => {
  const state = join(tempDir(), 'x'.repeat(120));
  mkdirSync(state);
  await expect(serving(state)).rejects.toMatchObject({
    code: 'FILE_WRITE',
    hint: expect.stringContaining('shorter'),
  });
});
