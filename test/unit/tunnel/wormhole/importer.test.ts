import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { silentLogger } from '../../../../src/log.js';
import { WormholeImporter } from '../../../../src/tunnel/wormhole/importer.js';
import type { WormholeStream } from '../../../../src/tunnel/wormhole/mux.js';
import { FrameReader } from '../../../../src/wire/tubus-frame.js';
import { ask, HOST } from '../../../support/wormhole.js';

test('clients that come before the tunnel is there are served when it is, in order', async () => {
  const importer = await WormholeImporter.listen({ host: HOST, port: 0 }, silentLogger);
  const early = [ask(importer.port, 'one', true), ask(importer.port, 'two', true)];
  await new Promise((resolve) => setTimeout(resolve, 50));
  const reader = new FrameReader();
  const heard: string[] = [];
  let finish: () => void = () => {};
  const stream: WormholeStream & { end: 'torn' | undefined } = {
    end: undefined,
    ended: new Promise(() => {}),
    read: () =>
      new Promise((resolve) => {
        finish = () => resolve(undefined);
      }),
    write: async (data) => {
      for (const part of reader.push(data))
        heard.push(part.kind === 'data' ? String(part.data) : `<${part.id}>`);
    },
  };
  const serving = importer.serve(stream);
  await expect.poll(() => heard.length).toBe(6);
  expect(heard.slice(0, 2)).toEqual(['<0>', '<1>']);
  expect(new Set(heard)).toEqual(new Set(['<0>', '<1>', 'one', 'two']));
  stream.end = 'torn';
  finish();
  await serving;
  expect(await Promise.all(early)).toEqual([Buffer.alloc(0), Buffer.alloc(0)]);
});

test('a busy port is named, with TCP_BIND', async () => {
  const server = createServer().listen(0, HOST);
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  try {
    await expect(WormholeImporter.listen({ host: HOST, port }, silentLogger)).rejects.toMatchObject({
      code: 'TCP_BIND',
      message: expect.stringContaining(String(port)),
    });
  } finally {
    server.close();
  }
});
