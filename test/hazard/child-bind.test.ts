import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { launch } from '../../src/launch/exec.js';
import { silentLogger } from '../../src/log.js';
import { UdpSocket } from '../../src/util/udp.js';
import { PASSAGE } from '../support/passage.js';

const BIND = fileURLToPath(new URL('../fixtures/programs/bind-udp.mjs', import.meta.url));

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'awl-bind-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

test.each(['127.0.0.1', '0.0.0.0', '::1'])(
  'a payload can bind the port that awl just used on %s',
  async (address) => {
    const log = join(dir, 'out');
    for (let round = 0; round < 5; round++) {
      const socket = await UdpSocket.bind({ address, port: 0 });
      await socket.send(Buffer.from('x'), {
        address: address === '::1' ? '::1' : '127.0.0.1',
        port: socket.local.port,
      });
      await socket.close();
      const spec = { command: process.execPath, args: `${BIND} %innerip% %innerport%`, log };
      const exit = await launch(spec, { ...PASSAGE, inner: socket.local }, { log: silentLogger });
      expect(exit).toEqual({ status: 0, signal: null });
    }
    expect(await readFile(log, 'utf8')).toBe('bound\n'.repeat(5));
  },
);

test('a port that somebody took is named, and the payload does not start', async () => {
  const socket = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  try {
    const mark = join(dir, 'started');
    const values = { ...PASSAGE, inner: socket.local };
    await expect(
      launch({ command: 'touch', args: mark }, values, { log: silentLogger }),
    ).rejects.toMatchObject({
      code: 'PAYLOAD_START',
      message: expect.stringContaining(String(socket.local.port)),
    });
    await expect(stat(mark)).rejects.toMatchObject({ code: 'ENOENT' });
  } finally {
    await socket.close();
  }
});
