import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readInto } from '../../../src/util/read-into.js';

let server: Server;
const sockets: Socket[] = [];

beforeEach(async () => {
  server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server.close();
});

async function pair(): Promise<{ client: Socket; accepted: Socket }> {
  const coming = once(server, 'connection') as Promise<[Socket]>;
  const client = connect((server.address() as { port: number }).port, '127.0.0.1');
  const [accepted] = await coming;
  for (const socket of [client, accepted]) sockets.push(socket.on('error', () => {}));
  return { client, accepted };
}

/** Bytes that tell which connection and which place they are of. */
function pattern(which: number, length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, i) => (which * 31 + i * 7 + (i >> 8)) & 255));
}

test.skipIf(process.platform === 'win32')(
  'what came before, while paused, and at last arrives whole and in order, and then the end',
  async () => {
    const { client, accepted } = await pair();
    client.write('early ');
    await once(accepted, 'readable');
    const got: string[] = [];
    expect(readInto(accepted, (bytes) => got.push(Buffer.from(bytes).toString()))).toBe(true);
    expect(got).toEqual(['early ']);
    const ended = once(accepted, 'end');
    accepted.resume();
    client.write('more ');
    await expect.poll(() => got.join('')).toBe('early more ');
    accepted.pause();
    client.end('last');
    await once(client, 'finish');
    expect(got.join('')).toBe('early more ');
    accepted.resume();
    await ended;
    expect(got.join('')).toBe('early more last');
    expect(got.length).toBe(3);
  },
);

test.skipIf(process.platform === 'win32')(
  'many sockets that share the memory get each its own bytes',
  async () => {
    const length = 600_000;
    const pairs: Awaited<ReturnType<typeof pair>>[] = [];
    while (pairs.length < 20) pairs.push(await pair());
    const ends = await Promise.all(
      pairs.map(async ({ client, accepted }, which) => {
        const got: Buffer[] = [];
        const read = readInto(accepted, (bytes) => {
          got.push(Buffer.from(bytes));
          if (got.length % 3 !== which % 3) return;
          accepted.pause();
          setImmediate(() => accepted.resume());
        });
        expect(read).toBe(true);
        const ended = once(accepted, 'end');
        accepted.resume();
        client.end(pattern(which, length));
        await ended;
        return Buffer.concat(got).equals(pattern(which, length));
      }),
    );
    expect(ends).toEqual(ends.map(() => true));
  },
);

test('a socket that is closed is not touched', async () => {
  const { accepted } = await pair();
  accepted.destroy();
  expect(readInto(accepted, () => {})).toBe(false);
});
