import { copyFileSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SESSION_QUEUE_PER_PEER, SESSIONS_PER_PEER } from '../../src/constants.js';
import { isAwlError } from '../../src/errors.js';
import { accept } from '../../src/session/acceptor.js';
import type { AwlEvent } from '../../src/session/events.js';
import { invite } from '../../src/session/initiator.js';
import type { Passage } from '../../src/session/passage.js';
import { makeWorld, until, type World } from '../support/world.js';

let world: World;
let stop: AbortController;
beforeEach(async () => {
  world = await makeWorld('alice@example.org/laptop', 'bob@example.org/nas', 'carol@example.org/phone');
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await world.close();
});

/** A deterministic stream of numbers in [0, 1): a failing schedule can be run again. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** The operator of the shared folder does what it likes with every letter, many times a second. */
function tamper(folder: string, random: () => number): { stop(): void; readonly deeds: Set<string> } {
  const kept: Buffer[] = [];
  const deeds = new Set<string>();
  const touched = new Set<string>();
  const deed = (name: string, work: () => void) => {
    try {
      work();
      deeds.add(name);
    } catch {
      // The letter was taken in the meantime.
    }
  };
  const timer = setInterval(() => {
    for (const name of readdirSync(folder)) {
      if (!name.endsWith('.awl') || touched.has(name)) continue;
      const path = join(folder, name);
      touched.add(name);
      const draw = random();
      if (draw < 0.15) deed('drop', () => unlinkSync(path));
      else if (draw < 0.3) {
        deed('flip', () => {
          const data = readFileSync(path);
          const at = data.indexOf(10) + 1 + Math.floor(random() * (data.length - data.indexOf(10) - 1));
          data[at] = data[at]! ^ (1 << Math.floor(random() * 7));
          writeFileSync(path, data);
        });
      } else if (draw < 0.45) {
        deed('swap body', () => {
          const data = readFileSync(path);
          const other = kept[Math.floor(random() * kept.length)];
          if (!other) throw new Error('nothing kept yet');
          const head = data.subarray(0, data.indexOf(10) + 1);
          writeFileSync(path, Buffer.concat([head, other.subarray(other.indexOf(10) + 1)]));
        });
      } else if (draw < 0.6) {
        deed('rename sender', () => {
          const data = readFileSync(path).toString('latin1');
          writeFileSync(
            path,
            data.replace(
              '"owner":"alice@example.org","pin":"laptop"',
              '"owner":"carol@example.org","pin":"phone"',
            ),
            'latin1',
          );
        });
      } else if (draw < 0.75) {
        deed('duplicate', () => {
          const copy = name.replace(
            /-[0-9a-f]{8}/,
            `-${Math.floor(random() * 2 ** 32)
              .toString(16)
              .padStart(8, '0')}`,
          );
          touched.add(copy);
          copyFileSync(path, join(folder, copy));
        });
      }
      deed('keep', () => kept.push(readFileSync(path)));
    }
  }, 1);
  return { stop: () => clearInterval(timer), deeds };
}

test('an operator who drops, changes, swaps, renames and repeats letters never connects anybody to a stranger', async () => {
  const [alice, bob, carol] = [world.machines[0]!, world.machines[1]!, world.machines[2]!];
  const atBob: Passage[] = [];
  const accepting = (async () => {
    for await (const passage of accept(world.settings(bob, undefined, { signal: stop.signal }))) {
      atBob.push(passage);
      await passage.close();
    }
  })();
  await until('bob listening', () => bob.events.some(({ event }) => event === 'listening'));
  const operator = tamper(world.folder, dice(20261121));
  const mine: { from: string; passage: Passage }[] = [];
  const codes = new Set<string>();
  const rounds = 36;
  for (let round = 0; round < rounds; round += 4) {
    await Promise.all(
      [alice, carol, alice, carol].map(async (machine) => {
        try {
          const passage = await invite(
            world.settings(machine, bob, { responseTimeoutMs: 900, handshakeTimeoutMs: 900 }),
          );
          mine.push({ from: machine.name.owner, passage });
          await passage.close();
        } catch (error) {
          if (!isAwlError(error)) throw error;
          codes.add(error.code);
        }
      }),
    );
  }
  operator.stop();
  await new Promise((resolve) => setTimeout(resolve, 300));
  stop.abort();
  await accepting;
  // Every passage is with whom it says: the key that only the two of them can have is the same at both ends.
  for (const { from, passage } of mine) {
    const other = atBob.find((one) => one.sessionKey!.equals(passage.sessionKey!));
    expect(other?.peer.owner).toBe(from);
    expect(passage).toMatchObject({ confirmed: true, peer: bob.name });
  }
  for (const passage of atBob) expect(passage.confirmed).toBe(true);
  expect(mine.length).toBeGreaterThan(0);
  expect(mine.length).toBeLessThan(rounds);
  expect([...operator.deeds].sort()).toEqual([
    'drop',
    'duplicate',
    'flip',
    'keep',
    'rename sender',
    'swap body',
  ]);
  expect(
    [...codes].every((code) => ['PEER_NO_ANSWER', 'HANDSHAKE_TIMEOUT'].includes(code)),
    [...codes].join(),
  ).toBe(true);
}, 60_000);

test('one peer that invites in a burst and never shows up gets its share and no more; a second peer is served meanwhile', async () => {
  const [alice, bob, carol] = [world.machines[0]!, world.machines[1]!, world.machines[2]!];
  const accepting = (async () => {
    for await (const passage of accept(world.settings(bob, undefined, { signal: stop.signal })))
      await passage.close();
  })();
  await until('bob listening', () => bob.events.some(({ event }) => event === 'listening'));
  const share = SESSIONS_PER_PEER + SESSION_QUEUE_PER_PEER;
  const burst = Array.from({ length: 2 * share }, () => {
    const gone = new AbortController();
    const onEvent = (event: AwlEvent) => event.event === 'invited' && gone.abort();
    return invite(world.settings(alice, bob, { onEvent, signal: gone.signal })).catch(() => {});
  });
  const refused = () => bob.events.filter((event) => event.event === 'refused');
  await Promise.all(burst);
  await until('the rest refused', () => refused().length >= share);
  const other = await invite(world.settings(carol, bob));
  await other.close();
  expect(refused()).toHaveLength(share);
  for (const event of refused())
    expect(event).toMatchObject({ code: 'LIMIT_REACHED', peer: 'alice@example.org/laptop' });
  stop.abort();
  await accepting;
});

test('a mail server that is down at the start is asked again and again, and is no crash', async () => {
  const [alice, bob] = [world.machines[0]!, world.machines[1]!];
  const email = {
    smtps: { host: '127.0.0.1', port: 9 },
    imaps: { host: '127.0.0.1', port: 9 },
    login: 'bob',
    password: 'secret-password',
  };
  const settings = world.settings(bob, alice, { signal: stop.signal, rendezvous: { name: 'email', email } });
  const accepting = accept(settings).next();
  await until('the second try', () => bob.lines.filter((line) => line.includes('next try in')).length >= 2);
  stop.abort();
  expect(await accepting).toEqual({ done: true, value: undefined });
  expect(bob.lines.join('')).not.toContain('secret-password');

  const inviting = invite(world.settings(alice, bob, { rendezvous: { name: 'email', email } }));
  await expect(inviting).rejects.toMatchObject({ code: 'RENDEZVOUS_UNREACHABLE', exitCode: 69 });
});

test('of two rendezvous one may be dead: the other carries the session, and one invitation is one session', async () => {
  const [alice, bob] = [world.machines[0]!, world.machines[1]!];
  const email = {
    smtps: { host: '127.0.0.1', port: 9 },
    imaps: { host: '127.0.0.1', port: 9 },
    login: 'x',
    password: 'y',
  };
  const both = {
    rendezvous: [
      { name: 'email', email },
      { name: 'file', folder: world.folder },
    ] as const,
  };
  const twice = {
    rendezvous: [
      { name: 'file', folder: world.folder },
      { name: 'file', folder: `${world.folder}/second` },
    ] as const,
  };
  for (const way of [both, twice]) {
    const control = new AbortController();
    const passages: Passage[] = [];
    const accepting = (async () => {
      for await (const passage of accept(world.settings(bob, alice, { signal: control.signal, ...way }))) {
        passages.push(passage);
        await passage.close();
      }
    })();
    const wanted = way === twice ? 2 : 1;
    bob.events.length = 0;
    await until(
      'bob listening',
      () => bob.events.filter(({ event }) => event === 'listening').length === wanted,
    );
    const mine = await invite(world.settings(alice, bob, way));
    await mine.close();
    await until('bob’s passage', () => passages.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 300));
    control.abort();
    await accepting;
    expect(passages).toHaveLength(1);
    expect(bob.events.filter(({ event }) => event === 'stun')).toHaveLength(1);
  }
});
