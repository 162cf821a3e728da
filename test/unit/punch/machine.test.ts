import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { IMPOSSIBLE_AFTER_MS, LEGACY_SILENCE_MS, PLEXUS_SLOT_MS } from '../../../src/constants.js';
import { type MachineOptions, PunchMachine } from '../../../src/punch/machine.js';
import type { Endpoint } from '../../../src/util/endpoint.js';
import {
  decodeConfirm,
  directionKey,
  encodeConfirm,
  encodeConfirmAck,
  isConfirmAck,
} from '../../../src/wire/confirm.js';
import { decodeFrame, encodeFrame } from '../../../src/wire/handshake.js';
import { UNMEASURED } from '../../../src/wire/nat-report.js';
import { planFor } from '../../support/plan.js';

const SECRET = 1537732126717276277n;
const PEER: Endpoint = { address: '203.0.113.10', port: 40_000 };
const REMAPPED: Endpoint = { address: '203.0.113.10', port: 50_000 };
const ELSEWHERE: Endpoint = { address: '198.51.100.77', port: 50_000 };
const KEY = Buffer.alloc(32, 9);

const SYMMETRIC = {
  ...UNMEASURED,
  nat: 'yes',
  mapping: 'address-and-port-dependent',
  filtering: 'address-and-port-dependent',
} as const;
const HOPELESS = planFor('accept', PEER, { own: SYMMETRIC, theirs: SYMMETRIC });

function make(options: Partial<MachineOptions> = {}): PunchMachine {
  return new PunchMachine(
    {
      role: 'accept',
      secret: SECRET,
      peer: PEER,
      moving: false,
      timeoutMs: 60_000,
      allow: () => true,
      random: (count) => randomBytes(count),
      plan: planFor(options.role ?? 'accept', PEER),
      ...options,
    },
    0,
  );
}

const frame = (flag: 0 | 1) => encodeFrame(SECRET, flag, randomBytes(7));

/** Flags of the legacy frames handed out since last time; `?` for anything else. */
function flags(machine: PunchMachine): string {
  return machine
    .take()
    .map(({ data }) => decodeFrame(SECRET, data)?.flag ?? '?')
    .join('');
}

describe('the legacy acceptor', () => {
  test('opens with a low TTL, answers flag 0 with flag 1, is done with flag 1', () => {
    const machine = make();
    machine.tick(0);
    const [opener] = machine.take();
    expect(opener?.ttl).toBe(7);
    expect(opener?.to).toEqual(PEER);
    machine.datagram(PEER, frame(0), 10);
    expect(flags(machine)).toBe('1');
    machine.datagram(PEER, frame(1), 20);
    expect(machine.outcome).toMatchObject({ kind: 'done', by: 'answer', path: { endpoint: PEER } });
  });

  test('follows the peer to a remapped port only after two different frames from there', () => {
    const machine = make();
    const hello = frame(0);
    machine.datagram(REMAPPED, hello, 10);
    machine.datagram(REMAPPED, hello, 100);
    expect(machine.take().every(({ to }) => to.port === REMAPPED.port)).toBe(true);
    expect(machine.outcome).toBeUndefined();
    machine.datagram(REMAPPED, frame(1), 200);
    expect(machine.outcome).toMatchObject({ kind: 'done', path: { endpoint: REMAPPED } });
  });

  test('does not believe another address', () => {
    const machine = make();
    machine.datagram(ELSEWHERE, frame(0), 10);
    machine.datagram(ELSEWHERE, frame(1), 20);
    expect(machine.outcome).toBeUndefined();
    expect(machine.take()).toEqual([]);
    expect(machine.stats.foreign).toBe(2);
  });

  test('takes payload traffic for the flag 1 that was lost, but only after its own answer went out', () => {
    const machine = make();
    machine.datagram(PEER, Buffer.from('payload'), 5);
    expect(machine.outcome).toBeUndefined();
    machine.datagram(PEER, frame(0), 10);
    machine.datagram(PEER, Buffer.from('8 bytes!'), 20);
    expect(machine.outcome).toBeUndefined();
    machine.datagram(PEER, Buffer.from('payload'), 30);
    expect(machine.outcome).toMatchObject({ kind: 'done', by: 'traffic' });
  });

  test('takes silence after its answer for success, unless the peer kept asking', () => {
    const answered = make();
    answered.datagram(PEER, frame(0), 0);
    answered.tick(LEGACY_SILENCE_MS - 1);
    expect(answered.outcome).toBeUndefined();
    answered.tick(LEGACY_SILENCE_MS);
    expect(answered.outcome).toMatchObject({ kind: 'done', by: 'silence' });

    const unheard = make();
    for (let at = 0; at <= 5 * PLEXUS_SLOT_MS; at += PLEXUS_SLOT_MS) unheard.datagram(PEER, frame(0), at);
    unheard.tick(5 * PLEXUS_SLOT_MS + 2 * LEGACY_SILENCE_MS);
    expect(unheard.outcome).toBeUndefined();
  });
});

describe('the legacy inviter', () => {
  test('answers flag 0 with flag 0, because a plexus acceptor ends on a flag 1 out of turn', () => {
    const machine = make({ role: 'invite' });
    machine.tick(0);
    expect(flags(machine)).toBe('0');
    machine.datagram(PEER, frame(0), 50);
    expect(flags(machine)).toBe('0');
    expect(machine.outcome).toBeUndefined();
  });

  test('sends its flag 1 several times before it is done', () => {
    const machine = make({ role: 'invite' });
    machine.tick(0);
    machine.take();
    machine.datagram(PEER, frame(1), 50);
    expect(machine.outcome).toBeUndefined();
    for (let at = 50; !machine.outcome && at < 1000; at += 5) machine.tick(at);
    expect(flags(machine)).toBe('11111');
    expect(machine.outcome).toMatchObject({ kind: 'done' });
  });
});

describe('with a confirmation key', () => {
  const own = directionKey(KEY, 'accept');
  const peer = directionKey(KEY, 'invite');

  function confirmed(): { machine: PunchMachine; nonce: Buffer } {
    const machine = make({ confirmKey: KEY });
    machine.datagram(PEER, frame(0), 10);
    const sent = machine.take().map(({ data }) => decodeConfirm(own, data));
    const nonce = sent.find((one) => one !== undefined);
    if (!nonce) throw new Error('no confirm was sent');
    return { machine, nonce };
  }

  test('flag 1 frames alone never succeed', () => {
    const machine = make({ confirmKey: KEY });
    for (let at = 0; at < 50; at++) machine.datagram(PEER, frame(at % 2 === 0 ? 1 : 0), at * 100);
    for (let at = 5000; at < 60_000; at += 500) machine.tick(at);
    expect(machine.outcome).toBeUndefined();
    machine.tick(60_000);
    expect(machine.outcome).toEqual({ kind: 'failed', reason: 'timeout' });
  });

  test('it is done when its confirm was acknowledged and the peer confirmed', () => {
    const { machine, nonce } = confirmed();
    const theirs = randomBytes(8);
    machine.datagram(PEER, encodeConfirm(peer, theirs), 60);
    const acks = machine.take().filter(({ data }) => isConfirmAck(own, data, theirs));
    expect(acks.length).toBe(1);
    expect(machine.provenAt).toBeUndefined();
    machine.datagram(PEER, encodeConfirmAck(peer, randomBytes(8), nonce), 70);
    expect(machine.provenAt).toBe(70);
    for (let at = 70; !machine.outcome && at < 2000; at += 5) machine.tick(at);
    expect(machine.outcome).toMatchObject({ kind: 'done', by: 'answer' });
    expect(machine.take().length).toBeGreaterThanOrEqual(3);
  });

  test('a peer that still asks while we linger is answered', () => {
    const { machine, nonce } = confirmed();
    const theirs = randomBytes(8);
    machine.datagram(PEER, encodeConfirm(peer, theirs), 60);
    machine.datagram(PEER, encodeConfirmAck(peer, randomBytes(8), nonce), 70);
    machine.tick(165);
    machine.take();
    machine.datagram(PEER, encodeConfirm(peer, theirs), 168);
    expect(machine.take().some(({ data }) => isConfirmAck(own, data, theirs))).toBe(true);
    machine.tick(300);
    expect(machine.outcome).toBeUndefined();
    machine.tick(168 + 250);
    expect(machine.outcome).toMatchObject({ kind: 'done' });
  });

  test('our own frames coming back prove nothing', () => {
    const { machine } = confirmed();
    machine.tick(300);
    for (const { data } of machine.take()) machine.datagram(PEER, data, 310);
    expect(machine.provenAt).toBeUndefined();
    expect(machine.authentic).toBe(false);
  });

  test('a confirm seen on the way and replayed from elsewhere does not move the passage there', () => {
    const { machine, nonce } = confirmed();
    const replayed = encodeConfirm(peer, randomBytes(8));
    machine.datagram(ELSEWHERE, replayed, 60);
    machine.datagram(ELSEWHERE, encodeConfirmAck(peer, randomBytes(8), nonce), 70);
    machine.datagram(ELSEWHERE, Buffer.from('payload-like'), 80);
    for (let at = 80; at < 8000; at += 100) machine.tick(at);
    expect(machine.provenAt).toBeUndefined();
  });

  test('an address that the filter refuses gets no datagram, not even for a valid confirm', () => {
    const machine = make({ confirmKey: KEY, allow: (endpoint) => endpoint.address === PEER.address });
    machine.datagram(ELSEWHERE, encodeConfirm(peer, randomBytes(8)), 10);
    machine.datagram(ELSEWHERE, frame(0), 20);
    expect(machine.take()).toEqual([]);
  });
});

describe('openers', () => {
  const own = directionKey(KEY, 'invite');
  const openers = (chooses: boolean) => {
    const plan = planFor('invite', PEER, { chooses });
    const machine = make({ role: 'invite', confirmKey: KEY, chooses, plan });
    for (let at = 0; at < 20_000; at += 50) machine.tick(at);
    return machine.take().filter(({ to }) => to.port === PEER.port);
  };

  test('are confirms at first where the peer knows the choice, the same one in each', () => {
    const sent = openers(true).map(({ data }) => decodeConfirm(own, data)?.toString('hex'));
    expect(sent.slice(0, 3)).toEqual([sent[0], sent[0], sent[0]]);
    expect(sent[0]).toBeDefined();
    expect(sent.filter((nonce) => nonce !== undefined).length).toBeLessThanOrEqual(16);
  });

  test('are frames of the handshake for a peer that does not', () => {
    expect(openers(false).every(({ data }) => decodeFrame(SECRET, data)?.flag === 0)).toBe(true);
  });

  test('that were answered make a round trip of the passage, without another question', () => {
    const theirs = directionKey(KEY, 'accept');
    const machine = make({ role: 'invite', confirmKey: KEY, chooses: true });
    machine.tick(0);
    const nonce = decodeConfirm(own, machine.take()[0]?.data ?? Buffer.alloc(0)) ?? Buffer.alloc(8);
    machine.datagram(PEER, encodeConfirmAck(theirs, randomBytes(8), nonce), 50);
    machine.datagram(PEER, encodeConfirm(theirs, randomBytes(8)), 50);
    expect(machine.provenAt).toBe(50);
    expect(machine.take().filter(({ data }) => decodeConfirm(own, data)).length).toBe(0);
  });
});

describe('an end', () => {
  test('comes after the timeout, whatever was heard', () => {
    const machine = make({ timeoutMs: 5000 });
    machine.tick(4999);
    expect(machine.outcome).toBeUndefined();
    expect(machine.nextTick).toBeLessThanOrEqual(5000);
    machine.tick(5000);
    expect(machine.outcome).toEqual({ kind: 'failed', reason: 'timeout' });
    expect(machine.nextTick).toBe(Number.POSITIVE_INFINITY);
  });

  test('comes early where both reports leave no hope, but not before an attempt', () => {
    const machine = make({ plan: HOPELESS });
    machine.tick(0);
    expect(machine.take().length).toBe(1);
    machine.tick(IMPOSSIBLE_AFTER_MS);
    expect(machine.outcome).toEqual({ kind: 'failed', reason: 'impossible' });
  });

  test('does not come early once the peer was heard: the reports were wrong', () => {
    const machine = make({ plan: HOPELESS });
    machine.datagram(PEER, frame(0), 10);
    machine.take();
    machine.tick(20);
    expect(machine.nextTick).toBeLessThan(IMPOSSIBLE_AFTER_MS);
    machine.datagram(PEER, frame(1), IMPOSSIBLE_AFTER_MS + 5000);
    expect(machine.outcome?.kind).toBe('done');
  });
});
