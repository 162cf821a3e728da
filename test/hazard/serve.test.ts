import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { run } from '../../src/cli/run.js';
import { parseName } from '../../src/identity/names.js';
import { exportIdentity, trustIdentity } from '../../src/identity/onboarding.js';
import { invite } from '../../src/session/initiator.js';
import { askStatus } from '../../src/session/status-socket.js';
import { collectingIo } from '../support/cli.js';
import { storedIdentity } from '../support/key-store.js';
import { freePort, Testnet } from '../support/testnet.js';
import { tempDir } from '../support/tmp.js';
import { makeWorld, until, type World } from '../support/world.js';

const PRINTER = parseName('bob@example.org/printer');
let world: World;
let net: Testnet;
let stop: AbortController;
let folder: string;

beforeEach(async () => {
  world = await makeWorld('alice@example.org/laptop', 'bob@example.org/nas');
  net = await Testnet.start(3);
  stop = new AbortController();
  folder = tempDir();
});
afterEach(async () => {
  stop.abort();
  await net.down();
  await world.close();
});

function ini(name: string, lines: Record<string, string | number>): string {
  const file = join(folder, name);
  writeFileSync(
    file,
    Object.entries(lines)
      .map(([key, value]) => `${key}=${value}\n`)
      .join(''),
  );
  return file;
}

async function common(): Promise<string> {
  const [, bob] = world.machines;
  const [node] = net.settings.bootstrap;
  return ini('common.ini', {
    'app-repo': bob!.repo,
    'state-dir': bob!.stateDir,
    'stun-server': `127.0.0.1:${world.stun.layout.port}`,
    'stun-client': '127.0.0.1',
    'allow-loopback': 'true',
    rendezvous: 'hyperdht',
    'dht-bootstrap': `${node!.host}:${node!.port}`,
    // Two nodes could not both have it.
    'dht-port': await freePort(),
    'exec-command': 'true',
    'log-level': 'error',
  });
}

test('one process serves several identities and apps from one DHT node, and a file that fails ends none of them', async () => {
  const [alice, bob] = world.machines;
  await storedIdentity(bob!.repo, PRINTER);
  await trustIdentity(alice!.repo, await exportIdentity(bob!.repo, PRINTER));
  const files = [
    ini('nas.ini', { 'app-id': 'ssh', 'host-info': 'bob@example.org/nas', 'exec-args': 'a' }),
    ini('web.ini', { 'app-id': 'web', 'host-info': 'bob@example.org/nas', 'exec-args': 'b' }),
    ini('printer.ini', { 'app-id': 'ssh', 'host-info': 'bob@example.org/printer', 'exec-args': 'c' }),
    ini('gone.ini', { 'app-id': 'ssh', 'host-info': 'nobody@example.org/none', 'exec-args': 'd' }),
  ];
  const io = collectingIo();
  const serving = run(['serve', '--json', `--config=${await common()}`, ...files], io, stop.signal);
  const events = () =>
    io.out
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as { event: string; service?: string; code?: string });
  await until('three listening', () => events().filter(({ event }) => event === 'listening').length === 3);
  const hyperdht = { name: 'hyperdht', hyperdht: net.settings } as const;
  for (const [app, host] of [
    ['ssh', bob!.name],
    ['web', bob!.name],
    ['ssh', PRINTER],
  ] as const) {
    const settings = world.settings(alice!, bob, { app, peer: host, rendezvous: hyperdht });
    const passage = await invite(settings);
    expect(passage.confirmed).toBe(true);
    await passage.close();
  }
  await until('three payloads', () => events().filter(({ event }) => event === 'payload-ended').length === 3);
  expect(
    events()
      .filter(({ event }) => event === 'passage')
      .map(({ service }) => service),
  ).toEqual(['nas', 'web', 'printer']);
  expect(events().filter(({ event }) => event === 'failed')).toMatchObject([
    { code: 'IDENTITY_MISSING', service: 'gone' },
  ]);
  const shown = await askStatus(bob!.stateDir);
  const sessions = shown.flatMap((one) => (one.mode === 'hub' ? [] : [one]));
  expect(sessions.map(({ app, host, passages }) => [app, host, passages]).sort()).toEqual([
    ['ssh', 'bob@example.org/nas', 1],
    ['ssh', 'bob@example.org/printer', 1],
    ['web', 'bob@example.org/nas', 1],
  ]);
  stop.abort();
  // The one that failed decides: somebody who watches the process must learn of it.
  expect(await serving).not.toBe(0);
});

test.each([
  ['the same app and identity twice', 'ssh', 'bob@example.org/nas', {}, 'USAGE_CONFLICT'],
  ['standard input in one of them', 'web', 'bob@example.org/nas', { stdio: 22 }, 'USAGE_CONFLICT'],
  ['a name that is none', 'web', 'bob@example.org/nas', { 'no-such-option': 1 }, 'CONFIG_UNKNOWN_NAME'],
])('%s: an error before anything starts', async (_, app, host, more, code) => {
  const first = ini('first.ini', { 'app-id': 'ssh', 'host-info': 'bob@example.org/nas' });
  const second = ini('second.ini', { 'app-id': app, 'host-info': host, ...more });
  const io = collectingIo();
  const line = ['serve', '--json', `--config=${await common()}`, first, second];
  expect(await run(line, io, stop.signal)).not.toBe(0);
  expect(io.err).toContain(code);
  expect(io.out).not.toContain('listening');
});
