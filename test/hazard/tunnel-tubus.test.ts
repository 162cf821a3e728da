import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { tunnelSettings as cliTunnel } from '../../src/cli/tunnel-settings.js';
import { silentLogger } from '../../src/log.js';
import { accept } from '../../src/session/acceptor.js';
import { StatusBoard } from '../../src/session/board.js';
import { invite } from '../../src/session/initiator.js';
import type { Passage } from '../../src/session/passage.js';
import { runAcceptor, runInitiator } from '../../src/session/run.js';
import type { TubusUse } from '../../src/session/tubus.js';
import { runWormhole } from '../../src/tunnel/wormhole/run.js';
import { valuesOf } from '../support/cli.js';
import { makeWorld, until, type World } from '../support/world.js';
import { ask, HOST, tcpService } from '../support/wormhole.js';

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

async function world(): Promise<World> {
  const made = await makeWorld('alice@example.org/laptop', 'bob@example.org/nas');
  cleanup.push(made.close);
  return made;
}

async function download(): Promise<{ port: number; data: Buffer }> {
  const data = randomBytes(3_000_000);
  const service = await tcpService((socket) => socket.once('data', () => socket.end(data)));
  cleanup.push(() => service.close());
  return { port: service.port, data };
}

const tunnel = (tubus: TubusUse) => ({ exports: [], imports: [], tubus, reconnectMs: 0 });

/** The program wormhole as a payload: it binds the port that awl gave back, and learns the secret. */
function payload(
  passage: Passage,
  purpose: 'import' | 'export',
  port: number,
  onReady?: (port: number | undefined) => void,
) {
  const stop = new AbortController();
  const done = passage.handOver().then(() =>
    runWormhole({
      ...{ purpose, service: { host: HOST, port }, gateway: passage.inner, faraway: passage.alien },
      ...{ secret: passage.secret, log: silentLogger, signal: stop.signal },
      ...(onReady && { onReady }),
    }),
  );
  cleanup.push(async () => {
    stop.abort();
    await done.catch(() => {});
  });
  return done;
}

test('an export meets a wormhole that imports; downloads arrive whole', async () => {
  const { port, data } = await download();
  const made = await world();
  const [a, b] = [made.machines[0]!, made.machines[1]!];
  const stop = new AbortController();
  const board = new StatusBoard({ mode: 'accept', app: 'test', host: 'bob', peer: 'alice' });
  const bob = runAcceptor(
    made.settings(b, a, {
      tunnel: tunnel({ purpose: 'export', service: { host: HOST, port }, masked: true }),
      ...{ once: true, signal: stop.signal, board },
      onEvent: (event) => {
        b.events.push(event);
        board.take(event);
      },
    }),
  );
  await until('listening', () => b.events.some(({ event }) => event === 'listening'));
  const passage = await invite(made.settings(a, b));
  let imported = 0;
  const done = payload(passage, 'import', 0, (at) => {
    imported = at ?? 0;
  });
  await until('linked', () => imported > 0);
  expect((await ask(imported, 'GET')).equals(data)).toBe(true);
  const shown = () => board.snapshot().sessions[0]?.tunnel;
  await expect.poll(() => shown()?.channels).toBe(0);
  expect(shown()).toMatchObject({ path: 'udp (tubus)', opened: 1, refused: 0, bad: 0 });
  expect(shown()?.sent).toBeGreaterThan(data.length);
  // On loopback hardly anything is lost, but a busy machine repeats what it need not.
  expect(shown()?.loss).toBeLessThan(1);
  expect(b.lines.join('')).toContain('neither encrypts nor authenticates');
  stop.abort();
  expect(await bob).toBe(0);
  await done;
});

test('an import meets a wormhole that exports, and ends with it', async () => {
  const { port, data } = await download();
  const made = await world();
  const [a, b] = [made.machines[0]!, made.machines[1]!];
  const stop = new AbortController();
  const serving = (async () => {
    for await (const passage of accept(made.settings(b, a, { signal: stop.signal }))) {
      void payload(passage, 'export', port);
    }
  })();
  cleanup.push(async () => {
    stop.abort();
    await serving;
  });
  await until('listening', () => b.events.some(({ event }) => event === 'listening'));
  const end = new AbortController();
  const alice = runInitiator(
    made.settings(a, b, {
      tunnel: tunnel({ purpose: 'import', service: { host: HOST, port: 0 }, masked: true }),
      signal: end.signal,
    }),
  );
  await until('linked', () => a.events.some(({ event }) => event === 'tunnel-open'));
  const open = a.events.find((event) => event.event === 'tunnel-open');
  const at = Number((open?.event === 'tunnel-open' ? open.imports[0] : '')?.split(':').at(-1));
  expect((await ask(at, 'GET')).equals(data)).toBe(true);
  end.abort();
  expect(await alice).toBe(0);
  expect(a.events.at(-1)).toMatchObject({ event: 'tunnel-closed', reason: 'stopped' });
  const late = connect({ host: HOST, port: at });
  await expect(new Promise((_, reject) => late.once('error', reject))).rejects.toThrow('ECONNREFUSED');
});

test.each([
  [['--export=22', '--export=23'], /one --export or one --import/],
  [['--export=22', '--import=2222:22'], /one --export or one --import/],
  [['--export=22-23'], /not a range/],
  [['--export=udp:53'], /udp cannot be exported/],
  [['--export=unix:/run/x'], /unix cannot be exported/],
  [['--import=udp:53'], /no UDP/],
  [['--import=unix:/tmp/x:22'], /no Unix socket/],
  [['--import=80-81'], /one --export or one --import/],
  [['--socks5=1080'], /--socks5 cannot be used/],
  [['--export=22', '--export-any=*:*'], /--export-any cannot be used/],
  [['--stdio=22'], /--stdio cannot be used/],
])('%j is more than the wire of wormhole can say', (line, message) => {
  expect(() => cliTunnel(valuesOf([...line, '--tunnel=tubus']))).toThrow(message);
});

test('what fits becomes one end of a wormhole', () => {
  expect(cliTunnel(valuesOf(['--tunnel=tubus', '--export=nas:22']))?.tunnel.tubus).toEqual({
    purpose: 'export',
    service: { host: 'nas', port: 22 },
    masked: true,
  });
  expect(cliTunnel(valuesOf(['--tunnel=tubus-clear', '--import=2222:22']))?.tunnel.tubus).toEqual({
    purpose: 'import',
    service: { host: '127.0.0.1', port: 2222 },
    masked: false,
  });
});
