import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import {
  importPort,
  openPair,
  serve,
  type TestServer,
  type TunnelPair,
  tunnelSettings,
} from '../support/tunnel.js';
import { until } from '../support/world.js';

const cleanup: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

async function server(serveOne: (socket: Socket) => void): Promise<TestServer> {
  const made = await serve(serveOne);
  cleanup.push(made.close);
  return made;
}

/** bob exports `port`, alice imports it on a free port. */
async function pair(port: number): Promise<{ tunnel: TunnelPair; port: number }> {
  const free = await serve(() => {});
  await free.close();
  const tunnel = await openPair(
    tunnelSettings({ imports: [`${free.port}:${port}`] }),
    tunnelSettings({ exports: [`${port}`] }),
  );
  cleanup.push(tunnel.close);
  return { tunnel, port: importPort(tunnel, 'alice') };
}

/** Everything up to the end; the socket's other direction stays as it is. */
async function readAll(socket: Socket): Promise<Buffer> {
  const pieces: Buffer[] = [];
  socket.on('data', (piece) => pieces.push(piece));
  await once(socket, 'end');
  return Buffer.concat(pieces);
}

const sha = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

test('a connection through the tunnel echoes, and both directions end', async () => {
  const echo = await server((socket) => socket.pipe(socket));
  const { port, tunnel } = await pair(echo.port);
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  client.end('through the tunnel');
  expect((await readAll(client)).toString()).toBe('through the tunnel');
  expect(tunnel.event('alice', 'tunnel-open')?.offered).toEqual([`tcp:127.0.0.1:${echo.port}`]);
});

test('20 MB each way at once arrive unchanged', async () => {
  const down = randomBytes(20_000_000);
  const up = randomBytes(20_000_000);
  const got: string[] = [];
  const both = await server((socket) => {
    socket.end(down);
    void readAll(socket).then((data) => got.push(sha(data)));
  });
  const { port } = await pair(both.port);
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  client.end(up);
  expect(sha(await readAll(client))).toBe(sha(down));
  await expect.poll(() => got).toEqual([sha(up)]);
});

test('a half-closed connection still carries the answer', async () => {
  const late = await server((socket) => {
    void readAll(socket).then((question) => setTimeout(() => socket.end(`you said ${question}`), 50));
  });
  const { port } = await pair(late.port);
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  client.end('hello');
  expect((await readAll(client)).toString()).toBe('you said hello');
});

test('a download that the server ends by closing arrives whole', async () => {
  const data = randomBytes(3_000_000);
  const short = await server((socket) => {
    socket.once('data', () => {
      socket.end(data);
      socket.once('finish', () => socket.destroy());
    });
  });
  const { port } = await pair(short.port);
  for (let round = 0; round < 3; round++) {
    const client = connect({ port, host: '127.0.0.1' });
    client.write('GET');
    expect(sha(await readAll(client))).toBe(sha(data));
  }
});

test('a reset passes through as a reset', async () => {
  const rude = await server((socket) => void socket.once('data', () => socket.resetAndDestroy()));
  const { port } = await pair(rude.port);
  const client = connect({ port, host: '127.0.0.1' });
  client.write('x');
  const [error] = await once(client, 'error');
  expect(error).toMatchObject({ code: 'ECONNRESET' });
});

test('a client that goes away resets the server’s connection', async () => {
  const held = await server((socket) => void socket.resume());
  const { port } = await pair(held.port);
  const client = connect({ port, host: '127.0.0.1' });
  client.write('x');
  await expect.poll(() => held.sockets.size).toBe(1);
  client.resetAndDestroy();
  await expect.poll(() => held.sockets.size).toBe(0);
});

test('300 connections at once each get their own answer', async () => {
  const echo = await server((socket) => socket.pipe(socket));
  const { port } = await pair(echo.port);
  const answers = await Promise.all(
    Array.from({ length: 300 }, async (_, i) => {
      const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
      client.end(`${i} `.repeat(200));
      return (await readAll(client)).toString();
    }),
  );
  expect(answers).toEqual(Array.from({ length: 300 }, (_, i) => `${i} `.repeat(200)));
});

test('a reader that stalls holds back its own connection only, and little memory', async () => {
  let sent = 0;
  const source = await server((socket) => {
    const piece = Buffer.alloc(65_536);
    const more = () => {
      while (socket.write(piece)) sent += piece.length;
      sent += piece.length;
    };
    socket.on('drain', more);
    more();
  });
  const { port } = await pair(source.port);
  const before = process.memoryUsage.rss();
  const stalled = connect({ port, host: '127.0.0.1' });
  stalled.pause();
  // It has taken what all buffers on the way hold once nothing more is sent.
  let last = -1;
  await expect
    .poll(
      () => {
        const still = sent > 0 && sent === last;
        last = sent;
        return still;
      },
      { interval: 300, timeout: 10_000 },
    )
    .toBe(true);
  const other = connect({ port, host: '127.0.0.1' });
  let received = 0;
  other.on('data', (data) => {
    received += data.length;
  });
  await expect.poll(() => received, { timeout: 10_000 }).toBeGreaterThan(20_000_000);
  other.destroy();
  stalled.destroy();
  expect(process.memoryUsage.rss() - before).toBeLessThan(200_000_000);
});

test('a client that goes on talking to a server that has closed is told, after it got everything', async () => {
  const rude = await server((socket) => {
    socket.once('data', () => {
      socket.end('bye');
      socket.once('finish', () => socket.destroy());
    });
  });
  const { port } = await pair(rude.port);
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const over = new Promise((resolve) => client.once('close', resolve));
  client.on('error', () => {});
  client.write('hello');
  expect((await readAll(client)).toString()).toBe('bye');
  const talking = setInterval(() => client.write('more'), 5);
  await over;
  clearInterval(talking);
});

for (const udpOnly of [true, false]) {
  test(`24 connections with readers of all speeds get each its own bytes, both ways, over ${udpOnly ? 'UDP' : 'TLS'}`, async () => {
    const length = 300_000;
    const bytesOf = (which: number) => {
      const data = Buffer.allocUnsafe(length);
      for (let i = 0; i < length; i++) data[i] = (which * 37 + i * 11 + (i >> 8) + (i >> 16)) & 255;
      return data;
    };
    /** Reads everything, stopping for a few turns now and then: one in three never, one in three often. */
    const readSlowly = (socket: Socket, which: number): Promise<Buffer> => {
      const pieces: Buffer[] = [];
      socket.on('data', (piece) => {
        pieces.push(piece);
        if (which % 3 === 0 || pieces.length % (which % 3 === 1 ? 2 : 7) !== 0) return;
        socket.pause();
        setTimeout(() => socket.resume(), which % 4);
      });
      return once(socket, 'end').then(() => Buffer.concat(pieces));
    };
    const right: boolean[] = [];
    // The first byte says whose connection it is; the answer is its pattern inverted, in pieces of odd sizes.
    const far = await server((socket) => {
      socket.once('data', (first: Buffer) => {
        const which = first[0] ?? 0;
        socket.unshift(first);
        const reading = readSlowly(socket, which + 1);
        const answer = bytesOf(which).map((byte) => 255 - byte);
        for (let at = 0, size = 1; at < length; at += size, size = (size * 5 + which) % 90_001)
          socket.write(answer.subarray(at, at + size));
        socket.end();
        void reading.then((said) => right.push(said.subarray(1).equals(bytesOf(which))));
      });
    });
    const free = await serve(() => {});
    await free.close();
    const tunnel = await openPair(
      tunnelSettings({ imports: [`${free.port}:${far.port}`] }, { udpOnly }),
      tunnelSettings({ exports: [`${far.port}`] }, { udpOnly }),
    );
    cleanup.push(tunnel.close);
    if (!udpOnly)
      await until(
        'TLS, or that it does not come',
        () => tunnel.event('alice', 'moved') !== undefined || tunnel.lines('alice').includes('stays on UDP'),
      );
    const answers = await Promise.all(
      Array.from({ length: 24 }, async (_, which) => {
        const client = connect({ port: free.port, host: '127.0.0.1', allowHalfOpen: true });
        const answer = readSlowly(client, which);
        client.write(Uint8Array.of(which));
        client.end(bytesOf(which));
        return Buffer.from((await answer).map((byte) => 255 - byte)).equals(bytesOf(which));
      }),
    );
    expect(answers).toEqual(answers.map(() => true));
    await expect.poll(() => right, { timeout: 20_000 }).toEqual(answers);
  }, 60_000);
}
