import { afterEach, beforeEach, expect, test } from 'vitest';
import { isAwlError } from '../../src/errors.js';
import { accept } from '../../src/session/acceptor.js';
import { invite } from '../../src/session/initiator.js';
import type { Passage } from '../../src/session/passage.js';
import { runAcceptor, runInitiator } from '../../src/session/run.js';
import { makeWorld, until, type World } from '../support/world.js';

let world: World;
let stop: AbortController;
const open: Passage[] = [];

beforeEach(async () => {
  world = await makeWorld('alice@example.org/laptop', 'bob@example.org/nas');
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await Promise.all(open.splice(0).map((passage) => passage.close()));
  await world.close();
});

const alice = () => world.machines[0]!;
const bob = () => world.machines[1]!;

/** Starts bob's accept loop and collects its passages until `stop`. */
async function startBob(more = {}): Promise<{ passages: Passage[]; done: Promise<void> }> {
  const passages: Passage[] = [];
  const done = (async () => {
    for await (const passage of accept(world.settings(bob(), alice(), { signal: stop.signal, ...more }))) {
      passages.push(passage);
      open.push(passage);
    }
  })();
  done.catch(() => {});
  await until('bob listening', () => bob().events.some(({ event }) => event === 'listening'));
  return { passages, done };
}

test('two awls meet: both ends agree on secret, session key and each other, and bytes pass', async () => {
  const { passages, done } = await startBob();
  const mine = await invite(world.settings(alice(), bob()));
  open.push(mine);
  await until('bob’s passage', () => passages.length === 1);
  const theirs = passages[0]!;
  expect(mine.confirmed && theirs.confirmed).toBe(true);
  expect(mine.secret).toBe(theirs.secret);
  expect(mine.sessionKey).toHaveLength(32);
  expect(mine.sessionKey?.equals(theirs.sessionKey!)).toBe(true);
  expect(mine.peer).toEqual(bob().name);
  expect(theirs.peer).toEqual(alice().name);
  expect(mine.alien).toEqual(theirs.inner);
  const arrived = new Promise<string>((resolve) =>
    theirs.socket.subscribe((data) => resolve(data.toString())),
  );
  await mine.socket.send(Buffer.from('through the passage'), mine.alien);
  expect(await arrived).toBe('through the passage');
  stop.abort();
  await done;
});

test('more invitations of one peer than it may have at once wait their turn instead of being lost', async () => {
  const { passages } = await startBob();
  const mine = await Promise.all(Array.from({ length: 7 }, () => invite(world.settings(alice(), bob()))));
  open.push(...mine);
  await until('bob’s passages', () => passages.length === 7);
  expect(bob().events.filter(({ event }) => event === 'refused')).toEqual([]);
});

test('a peer that nobody answers ends with PEER_NO_ANSWER and leaves no socket', async () => {
  const failed = invite(world.settings(alice(), bob(), { responseTimeoutMs: 300 }));
  await expect(failed).rejects.toMatchObject({ code: 'PEER_NO_ANSWER', exitCode: 68 });
});

test('a stranger who is not in the repository is not answered, whatever name it claims', async () => {
  const evil = await makeWorld('alice@example.org/laptop', 'bob@example.org/nas');
  const { passages } = await startBob();
  const eve = evil.machines[0]!;
  const bobAsEveKnowsHim = evil.settings(eve, evil.machines[1], {
    rendezvous: { name: 'file', folder: world.folder },
    stun: [{ host: '127.0.0.1', port: world.stun.layout.port }],
    responseTimeoutMs: 700,
  });
  await expect(invite(bobAsEveKnowsHim)).rejects.toMatchObject({ code: 'PEER_NO_ANSWER' });
  expect(passages).toHaveLength(0);
  expect(bob().events.map(({ event }) => event)).not.toContain('stun');
  expect(bob().lines.join('')).toMatch(/invitation .* ignored: MESSAGE_/);
  await evil.close();
});

test('a STUN server that is silent is named, and nothing is pushed', async () => {
  const failed = invite(world.settings(alice(), bob(), { stun: [{ host: '127.0.0.1', port: 9 }] }));
  await expect(failed).rejects.toMatchObject({ code: 'STUN_UNREACHABLE' });
  expect(alice().events).toEqual([]);
});

test('aborting an initiator ends it at once with the reason, in every phase', async () => {
  for (const phase of ['stun', 'invited']) {
    const controller = new AbortController();
    const began = alice().events.length;
    const inviting = invite(world.settings(alice(), bob(), { signal: controller.signal }));
    inviting.catch(() => {});
    await until(phase, () =>
      alice()
        .events.slice(began)
        .some(({ event }) => event === phase),
    );
    controller.abort(new Error(`stopped in ${phase}`));
    await expect(inviting).rejects.toThrow(`stopped in ${phase}`);
  }
});

test('an acceptor that is stopped in the middle of a session leaves neither session nor passage', async () => {
  const { passages, done } = await startBob();
  const inviting = invite(world.settings(alice(), bob(), { handshakeTimeoutMs: 500 }));
  const outcome = inviting.then(
    (passage) => passage.close(),
    (error) => error,
  );
  await until('bob’s session', () => bob().events.some(({ event }) => event === 'stun'));
  stop.abort();
  await done;
  await outcome;
  for (const passage of passages) await passage.close();
});

test('the accept time ends listening, not a session that is under way', async () => {
  const { passages, done } = await startBob({ acceptTimeoutMs: 1500 });
  const mine = await invite(world.settings(alice(), bob()));
  open.push(mine);
  await done;
  expect(passages).toHaveLength(1);
  expect(bob().lines.join('')).not.toContain('ERROR');
});

test('a replayed invitation starts nothing, also after the acceptor was started anew', async () => {
  const { passages, done } = await startBob();
  const kept: Uint8Array[] = [];
  const { mkdirSync, readdirSync, readFileSync, writeFileSync, cpSync } = await import('node:fs');
  const copy = `${world.folder}-copy`;
  mkdirSync(copy);
  // The rendezvous operator keeps a copy of everything.
  const watching = setInterval(() => cpSync(world.folder, copy, { recursive: true, force: false }), 2);
  const mine = await invite(world.settings(alice(), bob()));
  open.push(mine);
  clearInterval(watching);
  await until('bob’s passage', () => passages.length === 1);
  stop.abort();
  await done;
  const files = readdirSync(copy, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  for (const file of files) kept.push(readFileSync(`${file.parentPath}/${file.name}`));
  expect(kept.length).toBeGreaterThan(0);
  stop = new AbortController();
  bob().events.length = 0;
  const again = await startBob();
  for (const file of files) {
    const target = `${file.parentPath}/${file.name}`.replace(copy, world.folder);
    writeFileSync(target, readFileSync(`${file.parentPath}/${file.name}`));
  }
  await until('the replay being refused', () => bob().lines.join('').includes('MESSAGE_REPLAYED'));
  expect(again.passages).toHaveLength(0);
  expect(bob().events.map(({ event }) => event)).not.toContain('stun');
});

test('the payload’s exit status is passed on, and both sides’ payloads get the passage', async () => {
  const exec = (status: number) => ({
    command: 'sh',
    args: `-c 'test "$1" = 127.0.0.1 && test -n "$AWL_SESSION_KEY" && exit ${status}' sh %innerip%`,
  });
  const accepting = runAcceptor(
    world.settings(bob(), alice(), { once: true, exec: exec(4), signal: stop.signal }),
  );
  await until('bob listening', () => bob().events.some(({ event }) => event === 'listening'));
  const status = await runInitiator(world.settings(alice(), bob(), { exec: exec(3) }));
  expect(status).toBe(3);
  expect(await accepting).toBe(4);
});

test('a tunnel toward a peer that starts a program fails before the path is punched; the peer warns once', async () => {
  const exec = { command: 'true', args: '' };
  const accepting = runAcceptor(world.settings(bob(), alice(), { once: true, exec, signal: stop.signal }));
  await until('bob listening', () => bob().events.some(({ event }) => event === 'listening'));
  const tunnel = { exports: [], imports: [] };
  const inviting = runInitiator(world.settings(alice(), bob(), { tunnel }));
  await expect(inviting).rejects.toMatchObject({
    code: 'TUNNEL_REFUSED',
    message: expect.stringMatching(/starts a program/),
  });
  await until('the warning', () => bob().lines.some((line) => line.includes('opens the built-in tunnel')));
  expect(bob().lines.filter((line) => line.includes('opens the built-in tunnel'))).toHaveLength(1);
  stop.abort();
  await accepting.catch(() => {});
});

test('a second acceptor for the same app and host ends quietly with status 0', async () => {
  const exec = { command: 'true', args: '' };
  const first = runAcceptor(world.settings(bob(), alice(), { exec, signal: stop.signal }));
  await until('bob listening', () => bob().events.some(({ event }) => event === 'listening'));
  expect(await runAcceptor(world.settings(bob(), alice(), { exec }))).toBe(0);
  expect(bob().lines.filter((line) => line.includes('another acceptor'))).toHaveLength(1);
  stop.abort();
  expect(await first).toBe(0);
});

test('an unusable identity ends an acceptor before anything is sent', async () => {
  const other = world.settings(bob(), alice(), { repo: `${bob().repo}-none` });
  const accepting = accept(other).next();
  await expect(accepting).rejects.toSatisfy((error) => isAwlError(error, 'IDENTITY_MISSING'));
});
