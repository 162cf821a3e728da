import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { run } from '../../src/cli/run.js';
import { parseName } from '../../src/identity/names.js';
import { exportIdentity, trustIdentity } from '../../src/identity/onboarding.js';
import { StunServer } from '../../src/stun/server.js';
import { callAwl, collectingIo } from '../support/cli.js';
import { storedIdentity } from '../support/key-store.js';
import { tempDir } from '../support/tmp.js';
import { until } from '../support/world.js';

const QUIET = '--log-level=error';
const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

/** Both command lines of a tunnel over loopback, with one state folder. */
async function twoSides(): Promise<{ state: string; line: (own: string, peer: string) => string[] }> {
  const root = tempDir();
  const repo = join(root, 'repo');
  for (const name of ['alice@x.test/a', 'bob@x.test/b']) await storedIdentity(repo, parseName(name));
  for (const name of ['alice@x.test/a', 'bob@x.test/b']) {
    const other = join(root, 'other');
    await trustIdentity(other, await exportIdentity(repo, parseName(name)));
  }
  const stun = await StunServer.start({ addresses: ['127.0.0.1'], port: 0, altPort: 0 });
  cleanup.push(() => stun.close());
  const state = join(root, 'state');
  const line = (own: string, peer: string) => [
    ...[`--app-id=t`, `--app-repo=${repo}`, `--host-info=${own}`, `--peer-info=${peer}`],
    ...[`--stun-server=127.0.0.1:${stun.layout.port}`, '--stun-client=127.0.0.1', '--allow-loopback'],
    ...[`--file-dir=${join(root, 'rv')}`, `--state-dir=${state}`],
  ];
  mkdirSync(join(root, 'rv'));
  return { state, line };
}

function start(argv: string[], terminal?: { show(line: string): void; columns(): number }) {
  const io = Object.assign(collectingIo(), terminal && { terminal });
  const stop = new AbortController();
  const ended = run(argv, io, stop.signal);
  cleanup.push(async () => {
    stop.abort();
    await ended;
  });
  return { io, stop, ended };
}

test('awl status, --metrics and the progress line show a running tunnel, and nothing is left of it afterwards', async () => {
  const { state, line } = await twoSides();
  const ask = () => callAwl(['status', `--state-dir=${state}`]);
  expect(await ask()).toMatchObject({ status: 69, err: expect.stringContaining('NOT_RUNNING') });

  const shown: string[] = [];
  const terminal = { show: (text: string) => void shown.push(text), columns: () => 120 };
  const bob = start([
    '--accept',
    ...line('bob@x.test/b', 'alice@x.test/a'),
    '--export=1',
    '--metrics=127.0.0.1:0',
    QUIET,
  ]);
  await until('metrics', () => bob.io.err.includes('/metrics'));
  const alice = start([...line('alice@x.test/a', 'bob@x.test/b'), '--socks5=127.0.0.1:0'], terminal);
  let text = '';
  const limit = performance.now() + 12_000;
  while (!/: tunnel.*: tunnel/s.test(text) && performance.now() < limit) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    text = (await ask()).out;
  }
  expect(text).toMatch(
    /accepts alice@x\.test\/a for t as bob@x\.test\/b over file; up .*, 1 passage, 0 failures, 0 refused/,
  );
  expect(text).toMatch(/bob@x\.test\/b: tunnel, up/);
  expect(text).toMatch(/(?:udp|tcp), .*peer confirmed, set up in \d+ ms: 127\.0\.0\.1:\d+/);
  expect(text).toContain('the peer exports tcp:127.0.0.1:1');
  const lines = (await callAwl(['status', '--json', `--state-dir=${state}`])).out.trim().split('\n');
  expect(lines.map((each) => JSON.parse(each).mode).sort()).toEqual(['accept', 'invite']);
  const url = /http:\S+/.exec(bob.io.err)?.[0] ?? '';
  expect(await (await fetch(url)).text()).toMatch(
    /awl_tunnel_sent_bytes_total\{session="\w+",peer="alice@x.test\/a"/,
  );
  expect(shown.some((each) => /^bob@x.test\/b tunnel \| (?:udp|tcp) \|/.test(each))).toBe(true);

  alice.stop.abort();
  expect(await alice.ended).toBe(0);
  expect(shown.at(-1)).toBe('');
  bob.stop.abort();
  expect(await bob.ended).toBe(0);
  expect(readdirSync(join(state, 'status'))).toEqual([]);
});

test.each([['--json'], ['--log-level=warning']])('with %s no line is kept on the terminal', async (flag) => {
  const { line } = await twoSides();
  const shown: string[] = [];
  const terminal = { show: (text: string) => void shown.push(text), columns: () => 80 };
  const alice = start([...line('alice@x.test/a', 'bob@x.test/b'), '--import=1:1', flag], terminal);
  alice.stop.abort();
  await alice.ended;
  expect(shown.filter(Boolean)).toEqual([]);
});

test('a second acceptor for the same name ends quietly, though both would serve the same metrics port', async () => {
  const { line } = await twoSides();
  const argv = ['--accept', ...line('bob@x.test/b', 'alice@x.test/a'), '--export=1', QUIET];
  const first = start([...argv, '--metrics=127.0.0.1:0']);
  await until('metrics', () => first.io.err.includes('/metrics'));
  const at = /http:\/\/([\d.:]+)/.exec(first.io.err)?.[1];
  const second = start([...argv, `--metrics=${at}`]);
  expect(await second.ended).toBe(0);
});
