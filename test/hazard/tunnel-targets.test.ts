import { spawnSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, expect, test } from 'vitest';
import { TUNNEL_DATAGRAM_BYTES } from '../../src/wire/tunnel-limits.js';
import { parseTarget } from '../../src/wire/tunnel-target.js';
import { tempDir } from '../support/tmp.js';
import { openPair, serve, type TunnelPair, tunnelSettings } from '../support/tunnel.js';

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

async function open(...args: Parameters<typeof openPair>): Promise<TunnelPair> {
  const pair = await openPair(...args);
  cleanup.push(pair.close);
  return pair;
}

async function echoServer(): Promise<number> {
  const made = await serve((socket) => socket.pipe(socket));
  cleanup.push(made.close);
  return made.port;
}

async function freePort(): Promise<number> {
  const made = await serve(() => {});
  await made.close();
  return made.port;
}

async function udp(): Promise<Socket & { readonly at: number }> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  cleanup.push(() => socket.close());
  return Object.assign(socket, { at: socket.address().port });
}

async function ask(port: number, text: string): Promise<string> {
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  client.end(text);
  let answer = '';
  client.on('data', (data) => {
    answer += data;
  });
  await once(client, 'close');
  return answer;
}

test('what is not exported cannot be reached, whatever the importer asks for', async () => {
  const [open1, hidden] = [await echoServer(), await echoServer()];
  const port = await freePort();
  const pair = await open(
    tunnelSettings({ imports: [`${port}:${hidden}`] }),
    tunnelSettings({ exports: [`${open1}`] }),
  );
  await expect(ask(port, 'let me in')).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect(pair.lines('bob')).toContain('which is not exported');
  expect(pair.lines('alice')).toContain('the peer says: not exported');
});

test('nothing is exported by default: the side that only imports gives nothing away', async () => {
  const hidden = await echoServer();
  const port = await freePort();
  const pair = await open(
    tunnelSettings({ imports: [`${await freePort()}:${hidden}`] }),
    tunnelSettings({ imports: [`${port}:${hidden}`] }),
  );
  await expect(ask(port, 'x')).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect(pair.event('bob', 'tunnel-open')?.offered).toEqual([]);
});

test('both sides export and import in one session', async () => {
  const [echo, port, back] = [await echoServer(), await freePort(), await freePort()];
  await open(
    tunnelSettings({ imports: [`${port}:${echo}`], exports: [`localhost:${echo}`] }),
    tunnelSettings({ imports: [`${back}:localhost:${echo}`], exports: [`${echo}`] }),
  );
  expect(await ask(port, 'there')).toBe('there');
  expect(await ask(back, 'and back')).toBe('and back');
});

test('Unix sockets on either side carry connections', async () => {
  const folder = tempDir();
  const server = createServer((socket) => void socket.end('from the socket'));
  server.listen(join(folder, 'app.sock'));
  cleanup.push(() => server.close());
  await open(
    tunnelSettings({ imports: [`unix:${folder}/here.sock:unix:${folder}/app.sock`] }),
    tunnelSettings({ exports: [`unix:${folder}/app.sock`] }),
  );
  const client = connect(join(folder, 'here.sock'));
  expect(String(await once(client, 'data'))).toBe('from the socket');
  client.destroy();
});

/** A socket's file as a program leaves it that is killed. */
function leaveBehind(path: string): void {
  const listen = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', listen, path]);
  expect(lstatSync(path).isSocket()).toBe(true);
}

test('the socket file of an awl that was killed is taken over; one that is served, or another file, is not', async () => {
  const folder = tempDir();
  const [left, served, file] = ['left', 'served', 'file'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  leaveBehind(left);
  writeFileSync(file, 'precious');
  // Who only looks whether somebody listens is gone before the word is out.
  const server = createServer((socket) => void socket.on('error', () => {}).end('mine'));
  server.listen(served);
  cleanup.push(() => server.close());
  await once(server, 'listening');
  const echo = await echoServer();
  await open(tunnelSettings({ imports: [`unix:${left}:${echo}`] }), tunnelSettings({ exports: [`${echo}`] }));
  const client = connect(left);
  client.write('hello');
  expect(String(await once(client, 'data'))).toBe('hello');
  client.destroy();
  const refused = [served, file].map(async (path) => {
    const pair = await open(
      tunnelSettings({ imports: [`unix:${path}:${echo}`] }),
      tunnelSettings({ exports: [`${echo}`] }),
    );
    await expect(pair.alice).rejects.toMatchObject({
      code: 'TUNNEL_BIND',
      message: expect.stringContaining(path),
      hint: expect.stringContaining('choose another path'),
    });
  });
  await Promise.all(refused);
  expect(readFileSync(file, 'utf8')).toBe('precious');
  const other = connect(served);
  expect(String(await once(other, 'data'))).toBe('mine');
  other.destroy();
});

test('an unreachable target is refused with its reason, and the tunnel goes on', async () => {
  const [dead, echo, port, good] = [await freePort(), await echoServer(), await freePort(), await freePort()];
  const pair = await open(
    tunnelSettings({ imports: [`${port}:${dead}`, `${good}:${echo}`] }),
    tunnelSettings({ exports: [`${dead}`, `${echo}`] }),
  );
  await expect(ask(port, 'x')).rejects.toMatchObject({ code: 'ECONNRESET' });
  expect(pair.lines('alice')).toContain('the peer says: ECONNREFUSED');
  expect(await ask(good, 'still there')).toBe('still there');
});

test('a local port that is taken ends the session with its name', async () => {
  const taken = await echoServer();
  const pair = await open(tunnelSettings({ imports: [`${taken}:22`] }), tunnelSettings({ exports: ['22'] }));
  await expect(pair.alice).rejects.toMatchObject({
    code: 'TUNNEL_BIND',
    message: expect.stringContaining(`127.0.0.1:${taken}`),
  });
  expect(await pair.bob).toBe(0);
});

test('when one side stops, the other ends at once and in order', async () => {
  const pair = await open(tunnelSettings({ exports: ['22'] }), tunnelSettings({ exports: ['22'] }));
  pair.stopAlice.abort();
  expect(await pair.alice).toBe(0);
  expect(await pair.bob).toBe(0);
  expect(pair.event('bob', 'tunnel-closed')?.reason).toBe('the peer closed the tunnel');
});

test('datagrams pass with their boundaries, and each source gets its own answers', async () => {
  const service = await udp();
  service.on('message', (data, from) => service.send(`re ${data}`, from.port, from.address));
  const port = await freePort();
  await open(
    tunnelSettings({ imports: [`udp:${port}:${service.at}`] }),
    tunnelSettings({ exports: [`udp:${service.at}`] }),
  );
  const [one, two] = [await udp(), await udp()];
  const got: string[][] = [[], []];
  for (const [i, socket] of [one, two].entries()) {
    socket.on('message', (data) => got[i]?.push(String(data)));
    for (let n = 0; n < 5; n++) socket.send(`${i}.${n}`, port, '127.0.0.1');
  }
  await expect.poll(() => got.flat().length).toBe(10);
  for (const [i, answers] of got.entries()) {
    expect(answers.sort()).toEqual([0, 1, 2, 3, 4].map((n) => `re ${i}.${n}`));
  }
});

test('a datagram passes up to the documented size; a larger one is dropped with a word', async () => {
  const service = await udp();
  const sizes: number[] = [];
  service.on('message', (data) => sizes.push(data.length));
  const port = await freePort();
  const pair = await open(
    tunnelSettings({ imports: [`udp:${port}:${service.at}`] }),
    tunnelSettings({ exports: [`udp:${service.at}`] }),
  );
  const client = await udp();
  for (const more of [1, 0]) client.send(Buffer.alloc(TUNNEL_DATAGRAM_BYTES + more), port, '127.0.0.1');
  await expect.poll(() => sizes).toEqual([TUNNEL_DATAGRAM_BYTES]);
  expect(pair.lines('alice')).toContain('does not fit');
});

test('a port for TCP is not a port for UDP', async () => {
  const service = await udp();
  let heard = 0;
  service.on('message', () => heard++);
  const port = await freePort();
  const pair = await open(
    tunnelSettings({ imports: [`udp:${port}:${service.at}`] }),
    tunnelSettings({ exports: [`tcp:${service.at}`] }),
  );
  const client = await udp();
  client.send('x', port, '127.0.0.1');
  await expect.poll(() => pair.lines('alice')).toContain('the peer says: not exported');
  expect(heard).toBe(0);
});

test('--stdio is one connection: the session ends with it, and everything arrives', async () => {
  const echo = await echoServer();
  const [input, output] = [new PassThrough(), new PassThrough()];
  const pieces: Buffer[] = [];
  output.on('data', (data) => pieces.push(data));
  const sent = Buffer.alloc(3_000_000, 'stdio ');
  input.end(sent);
  const pair = await open(
    tunnelSettings({}, { stdio: { target: parseTarget(`${echo}`), input, output } }),
    tunnelSettings({ exports: [`${echo}`] }),
  );
  expect(await pair.alice).toBe(0);
  expect(Buffer.concat(pieces).equals(sent)).toBe(true);
  expect(await pair.bob).toBe(0);
});

test('--stdio toward something that is not exported fails with its own diagnosis', async () => {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const pair = await open(
    tunnelSettings({}, { stdio: { target: parseTarget('22'), input, output } }),
    tunnelSettings({ exports: ['23'] }),
  );
  await expect(pair.alice).rejects.toMatchObject({ code: 'TUNNEL_REFUSED', exitCode: 76 });
});
