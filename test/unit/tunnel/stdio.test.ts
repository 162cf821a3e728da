import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Channel } from '../../../src/tunnel/channel.js';
import { joinStdio } from '../../../src/tunnel/stdio.js';
import type { Tunnel } from '../../../src/tunnel/tunnel.js';
import { parseTarget } from '../../../src/wire/tunnel-target.js';
import { carrierPair, memoryTunnels } from '../../support/carriers.js';
import { type Compiled, compile } from '../../support/compiled.js';

const BIG = Buffer.alloc(1_000_000, 'stdio ');

let built: Compiled;
beforeAll(async () => {
  built = await compile('cli/main.ts');
});
afterAll(() => built.remove());

/** Standard input and output joined to a connection whose far end is `serve`d. */
async function joined(serve: (far: Channel) => void) {
  const tunnels = await memoryTunnels(carrierPair({ secure: true }), {
    accept: {
      onOpen: (tunnel: Tunnel, id: number) => {
        const far = tunnel.adopt(id);
        far.on('error', () => {});
        serve(far);
        tunnel.mux.accept(id);
        return far;
      },
    },
  });
  const [input, output] = [new PassThrough(), new PassThrough()];
  const over = joinStdio(tunnels.invite, parseTarget('22'), { input, output });
  return { input, output, over, close: () => tunnels.invite.close('done') };
}

test('a server that ends first ends the output, and the upload still arrives whole', async () => {
  let upload: Promise<Buffer> | undefined;
  const { input, output, over, close } = await joined((far) => {
    far.end(BIG);
    upload = buffer(far);
  });
  expect((await buffer(output)).equals(BIG)).toBe(true);
  input.end(BIG);
  await over;
  expect((await upload)?.equals(BIG)).toBe(true);
  await close();
});

test('a client that ends first still gets the whole download', async () => {
  const { input, output, over, close } = await joined((far) => {
    far.resume();
    far.once('end', () => far.end(BIG));
  });
  input.end('question');
  expect((await buffer(output)).equals(BIG)).toBe(true);
  await over;
  await close();
});

test('a server that ended and takes nothing more ends it at once, whatever the input does', async () => {
  const { input, output, over, close } = await joined((far) => {
    far.end(BIG);
    far.once('finish', () => far.destroy());
  });
  expect((await buffer(output)).equals(BIG)).toBe(true);
  await over;
  expect(input.destroyed).toBe(true);
  await close();
});

test('the reader of a real pipe sees the end while standard input is still read', async () => {
  const io = JSON.stringify(join(built.dir, 'cli/io.js'));
  const program = `
    const { letGoOfStdout } = await import(${io});
    process.stdout.once('finish', letGoOfStdout);
    process.stdin.pipe(process.stderr);
    process.stdout.end('all');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: 15_000,
  });
  const exit = once(child, 'exit');
  const later = text(child.stderr);
  expect(await text(child.stdout)).toBe('all');
  child.stdin.end('upload');
  expect(await later).toBe('upload');
  expect(await exit).toEqual([0, null]);
});
