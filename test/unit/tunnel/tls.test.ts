import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createSecureContext, TLSSocket, connect as tlsConnect } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseName } from '../../../src/identity/names.js';
import { createIdentity } from '../../../src/identity/onboarding.js';
import { proveTls } from '../../../src/tunnel/tls.js';
import { TlsStream } from '../../../src/tunnel/tls-stream.js';
import { deriveTunnelTcpKeys } from '../../../src/wire/tunnel-tcp-keys.js';
import { tempDir } from '../../support/tmp.js';

let server: Server;
const sockets: Socket[] = [];
const KEY = deriveTunnelTcpKeys(Buffer.alloc(32, 0x11));
const NEVER = new AbortController().signal;

beforeEach(async () => {
  server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server.close();
});

async function pair(): Promise<{ inviter: Socket; acceptor: Socket }> {
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const inviter = connect((server.address() as { port: number }).port, '127.0.0.1');
  const [acceptor] = await accepted;
  await once(inviter, 'connect').catch(() => {});
  for (const socket of [inviter, acceptor]) {
    sockets.push(socket);
    socket.on('error', () => {});
  }
  return { inviter, acceptor };
}

async function selfSigned() {
  const repo = tempDir();
  await createIdentity(repo, parseName('eve@example.org/x'));
  const folder = join(repo, 'eve@example.org', 'x');
  return {
    cert: readFileSync(join(folder, 'cert.crt')),
    key: readFileSync(join(folder, 'private.key')),
  };
}

test('two holders of the session key meet over TLS 1.3, and nothing passes before the inviter chose', async () => {
  const { inviter, acceptor } = await pair();
  let chosen = false;
  const accepting = proveTls(acceptor, 'accept', KEY, NEVER).then((proven) => {
    expect(chosen).toBe(true);
    return proven;
  });
  const mine = await proveTls(inviter, 'invite', KEY, NEVER);
  chosen = true;
  mine.choose();
  const theirs = await accepting;
  expect(mine.socket.getProtocol()).toBe('TLSv1.3');
  // Fresh keys in each session: a stolen session key opens no recorded one.
  // Node 26 agrees on X25519 with ML-KEM and calls it a group.
  expect(mine.socket.getEphemeralKeyInfo()).toMatchObject({
    type: expect.stringMatching(/^(ECDH|TLSGroup)$/),
  });
  theirs.socket.write('from the acceptor');
  mine.socket.write('from the inviter');
  expect(String((await once(mine.socket, 'data'))[0])).toBe('from the acceptor');
  expect(String((await once(theirs.socket, 'data'))[0])).toBe('from the inviter');
});

test('who holds another key is refused on both sides', async () => {
  const other = deriveTunnelTcpKeys(randomBytes(32));
  const { inviter, acceptor } = await pair();
  const both = await Promise.allSettled([
    proveTls(inviter, 'invite', other, NEVER),
    proveTls(acceptor, 'accept', KEY, NEVER),
  ]);
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
});

test('a client with a certificate of its own and no key gets nothing from the acceptor', async () => {
  const { inviter, acceptor } = await pair();
  const got: Buffer[] = [];
  const client = tlsConnect({ socket: inviter, rejectUnauthorized: false, ...(await selfSigned()) });
  client.on('error', () => {}).on('data', (data) => got.push(data));
  client.write('let me in');
  await expect(proveTls(acceptor, 'accept', KEY, NEVER)).rejects.toMatchObject({ code: 'TUNNEL_LOST' });
  expect(got).toEqual([]);
});

test('a server with a certificate instead of the key is not believed, whoever signed it', async () => {
  const { inviter, acceptor } = await pair();
  const mallory = new TLSSocket(acceptor, {
    isServer: true,
    secureContext: createSecureContext(await selfSigned()),
  });
  mallory.on('error', () => {});
  mallory.write(Buffer.alloc(32));
  await expect(proveTls(inviter, 'invite', KEY, NEVER)).rejects.toMatchObject({ code: 'TUNNEL_LOST' });
});

test('somebody between both, who can speak TLS with each, cannot pass one proof for the other', async () => {
  // Mallory even holds the pre-shared key; the proofs are bound to each TLS session and keyed apart.
  const left = await pair();
  const right = await pair();
  const stolen = { psk: KEY.psk };
  const server = new TLSSocket(left.acceptor, {
    isServer: true,
    secureContext: createSecureContext({ minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256' }),
    ...{ pskCallback: () => stolen.psk },
  });
  const client = tlsConnect({
    socket: right.inviter,
    minVersion: 'TLSv1.3',
    ciphers: 'TLS_AES_128_GCM_SHA256',
    ca: [],
    checkServerIdentity: () => undefined,
    pskCallback: () => ({ identity: 'awl', psk: stolen.psk }),
  });
  for (const socket of [server, client]) socket.on('error', () => {});
  client.pipe(server);
  server.pipe(client);
  const stop = new AbortController();
  const accepting = proveTls(right.acceptor, 'accept', KEY, stop.signal);
  await expect(proveTls(left.inviter, 'invite', KEY, NEVER)).rejects.toThrow(/proof is wrong/);
  stop.abort(new Error('over'));
  await expect(accepting).rejects.toThrow();
});

test('a handshake that is not finished in time, or is not wanted any more, leaves no socket', async () => {
  const { acceptor } = await pair();
  const stop = new AbortController();
  const waiting = proveTls(acceptor, 'accept', KEY, stop.signal);
  stop.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
  await expect.poll(() => acceptor.destroyed).toBe(true);
});

test('a stream over TLS hands on pieces in order, side by side in memory or not, holds a fast writer, and ends', async () => {
  const { inviter, acceptor } = await pair();
  const accepting = proveTls(acceptor, 'accept', KEY, NEVER);
  const mine = await proveTls(inviter, 'invite', KEY, NEVER);
  mine.choose();
  const [from, to] = [new TlsStream(mine.socket), new TlsStream((await accepting).socket)];
  const got: Buffer[] = [];
  to.on('data', (bytes: Uint8Array) => got.push(Buffer.from(bytes)));
  const ended = once(to, 'end');
  const said = randomBytes(6_000_000);
  let held = 0;
  for (let at = 0, i = 0; at < said.length; i++) {
    const piece = said.subarray(at, at + 1 + ((i * 40_503) % 70_000));
    at += piece.length;
    const clear = from.write(i % 5 === 0 ? Buffer.from(piece) : piece);
    if (clear) continue;
    held += 1;
    await once(from, 'drain');
  }
  from.end();
  await ended;
  expect(Buffer.concat(got).equals(said)).toBe(true);
  expect(held).toBeGreaterThan(0);
  const closed = Promise.all([once(from, 'close'), once(to, 'close')]);
  to.destroy();
  from.destroy();
  await closed;
});
