import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { ask, HOST, tcpService, wormholePair } from '../../../support/wormhole.js';

async function through(
  serve: Parameters<typeof tcpService>[0],
  use: (port: number, pair: Awaited<ReturnType<typeof wormholePair>>) => Promise<void>,
  options: Parameters<typeof wormholePair>[1] = {},
  halfOpen = false,
) {
  const service = await tcpService(serve, halfOpen);
  const pair = await wormholePair(service.port, options);
  try {
    await use(pair.port, pair);
  } finally {
    service.close();
    await pair.close();
  }
}

const PATH = { loss: 0.05, duplication: 0.05, reorder: 0.1 };

test('20 of 20 downloads of 3 MB that the server ends by closing are whole', async () => {
  const data = randomBytes(3_000_000);
  await through(
    (socket) => socket.once('data', () => socket.end(data)),
    async (port) => {
      for (let i = 0; i < 20; i++) expect((await ask(port, 'GET')).equals(data)).toBe(true);
    },
  );
});

test('20 of 20 downloads of 50 kB are whole through 5 % loss, duplication and reordering', async () => {
  const data = randomBytes(50_000);
  await through(
    (socket) => socket.once('data', () => socket.end(data)),
    async (port) => {
      for (let i = 0; i < 20; i++) expect((await ask(port, 'GET')).equals(data)).toBe(true);
    },
    { path: { ...PATH, seed: 5 } },
  );
});

test('20 downloads of 3 MB at once are whole through a bad path', async () => {
  const data = randomBytes(3_000_000);
  await through(
    (socket) => socket.once('data', () => socket.end(data)),
    async (port) => {
      const all = await Promise.all(Array.from({ length: 20 }, () => ask(port, 'GET')));
      expect(all.filter((got) => got.equals(data))).toHaveLength(20);
    },
    { path: { ...PATH, seed: 6 } },
  );
  // 45 000 datagrams, of which each tenth waits for its repetition: 13 s alone, five times that on a busy machine.
}, 240_000);

test('an echo of 1 MB comes back whole, and the end of the request arrives as an end', async () => {
  const data = randomBytes(1_000_000);
  await through(
    (socket) => socket.pipe(socket),
    async (port) => expect((await ask(port, data, true)).equals(data)).toBe(true),
    {},
    true,
  );
});

test('200 connections at once', async () => {
  await through(
    (socket) => socket.pipe(socket),
    async (port) => {
      const texts = Array.from({ length: 200 }, (_, i) => `client ${i} `.repeat(500));
      const answers = await Promise.all(texts.map((text) => ask(port, text, true)));
      expect(answers.map(String)).toEqual(texts);
    },
    {},
    true,
  );
});

test('a client that is gone stops a service that would send for ever', async () => {
  let ended: () => void = () => {};
  const over = new Promise<void>((resolve) => {
    ended = resolve;
  });
  await through(
    (socket) => {
      const chunk = Buffer.alloc(10_000);
      const more = () => {
        while (socket.write(chunk));
      };
      socket.on('drain', more).on('close', ended);
      more();
    },
    async (port) => {
      const socket = connect(port, HOST);
      await once(socket, 'data');
      socket.resetAndDestroy();
      await over;
    },
    {},
    // It ignores the end of its client, as programs do that only write.
    true,
  );
});

test('a service that refuses ends the client', async () => {
  const service = await tcpService(() => {});
  service.close();
  const pair = await wormholePair(service.port);
  try {
    expect(await ask(pair.port, '')).toHaveLength(0);
  } finally {
    await pair.close();
  }
});

test('a reader that stays behind holds up the service, not the memory', async () => {
  let written = 0;
  await through(
    (socket) => {
      const chunk = Buffer.alloc(65_536, 7);
      const more = () => {
        while (written < 60_000_000) {
          written += chunk.length;
          if (!socket.write(chunk)) return;
        }
        socket.end();
      };
      socket.on('drain', more);
      more();
    },
    async (port) => {
      const socket = connect(port, HOST);
      socket.pause();
      await once(socket, 'connect');
      let before = -1;
      // Until the service has stood still for a while.
      for (let same = 0; same < 5; ) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        same = written === before ? same + 1 : 0;
        before = written;
      }
      expect(written).toBeLessThan(40_000_000);
      let got = 0;
      socket.on('data', (chunk: Buffer) => {
        got += chunk.length;
      });
      socket.resume();
      await once(socket, 'end');
      expect(got).toBe(written);
    },
  );
});

test('the end of one side ends the other, and clients get what arrived', async () => {
  const data = randomBytes(200_000);
  await through(
    (socket) => socket.write(data),
    async (port, pair) => {
      const answer = new Promise<Buffer>((resolve) => {
        const chunks: Buffer[] = [];
        const socket = connect(port, HOST);
        socket.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          if (Buffer.concat(chunks).length === data.length) pair.stop.export.abort();
        });
        socket.on('close', () => resolve(Buffer.concat(chunks)));
      });
      expect((await answer).equals(data)).toBe(true);
      expect((await pair.outcomes).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
    },
  );
});
