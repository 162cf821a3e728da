import { expect, test } from 'vitest';
import { StatusBoard } from '../../../src/session/board.js';
import type { AwlEvent } from '../../../src/session/events.js';
import type { ProcessStatus } from '../../../src/session/status.js';
import type { TunnelStats } from '../../../src/tunnel/stats.js';

const STATS: TunnelStats = {
  state: 'open',
  path: 'udp',
  rttMs: 34,
  sent: 0,
  received: 0,
  packets: 1000,
  repeated: 5,
  channels: 2,
  opened: 7,
  refused: 1,
  reconnects: 0,
  moves: 0,
  kept: 0,
  strays: 0,
  datagramsSent: 0,
  datagramsReceived: 0,
  badDatagrams: 0,
  replayedDatagrams: 0,
  tooLarge: 0,
};

function board(mode: ProcessStatus['mode'] = 'accept') {
  const clock = { now: 1_000 };
  const made = new StatusBoard({ mode, app: 'ssh', host: 'bob@x/nas', now: () => clock.now });
  return { clock, board: made };
}

function passage(session: string, more: object = {}): AwlEvent {
  return {
    event: 'passage',
    session,
    host: 'bob@x/nas',
    peer: 'alice@x/laptop',
    inner: '10.0.0.1:1',
    outer: '192.0.2.1:1',
    alien: '198.51.100.2:2',
    how: 'reflexive',
    confirmed: true,
    ms: 300,
    ...more,
  } as AwlEvent;
}

test('a session is shown from its beginning to its end, with its path and counters', () => {
  const { clock, board: shown } = board();
  shown.take({ event: 'listening', rendezvous: 'hyperdht', app: 'ssh', host: 'bob@x/nas' });
  shown.take({ event: 'answered', session: 's1', peer: 'alice@x/laptop', ms: 20 });
  expect(shown.snapshot()).toMatchObject({
    listening: ['hyperdht'],
    sessions: [{ session: 's1', state: 'answering', peer: 'alice@x/laptop' }],
  });
  clock.now += 500;
  shown.take(passage('s1', { transport: 'udp', route: 'direct' }));
  const stats = { ...STATS };
  const end = shown.watch('s1', () => stats);
  shown.take({
    event: 'tunnel-open',
    session: 's1',
    imports: ['127.0.0.1:2222'],
    offered: ['tcp:127.0.0.1:22'],
  });
  for (const bytes of [0, 1_000, 3_000]) {
    Object.assign(stats, { sent: bytes, received: 2 * bytes });
    shown.sample();
    clock.now += 1_000;
  }
  expect(shown.snapshot()).toMatchObject({
    passages: 1,
    upMs: 3_500,
    sessions: [
      {
        ...{
          state: 'tunnel',
          how: 'reflexive',
          transport: 'udp',
          route: 'direct',
          ageMs: 3_500,
          upMs: 3_000,
        },
        tunnel: { sendRate: 1_500, receiveRate: 3_000, loss: 0.005, rttMs: 34, imports: ['127.0.0.1:2222'] },
      },
    ],
  });
  Object.assign(stats, { state: 'reconnecting' });
  expect(shown.snapshot().sessions[0]?.state).toBe('reconnecting');
  end();
  expect(shown.snapshot().sessions).toEqual([]);
});

test('a tunnel that came back is one session, on the path that the newer one won', () => {
  const { board: shown } = board();
  shown.take(passage('s1'));
  shown.take({ event: 'tunnel-open', session: 's1', imports: [], offered: [] });
  shown.take({ event: 'reconnecting', session: 's1', code: 'TUNNEL_LOST', message: 'gone' });
  shown.take(passage('s2', { how: 'birthday', alien: '203.0.113.9:9' }));
  shown.take({ event: 'reconnected', session: 's1', path: 'udp', alien: '203.0.113.9:9', ms: 12 });
  expect(shown.snapshot().sessions).toMatchObject([
    { session: 's1', state: 'tunnel', how: 'birthday', alien: '203.0.113.9:9' },
  ]);
});

test('a tunnel that left its relay shows how the direct path was won, and keeps that over TCP', () => {
  const { board: shown } = board('invite');
  shown.take(passage('s1', { how: 'relay', alien: '192.0.2.9:3480' }));
  shown.take({ event: 'tunnel-open', session: 's1', imports: [], offered: [] });
  shown.take(passage('s2', { how: 'birthday', alien: '203.0.113.9:9' }));
  shown.take({ event: 'moved', session: 's1', path: 'udp', alien: '203.0.113.9:9' });
  expect(shown.snapshot().sessions).toMatchObject([
    { session: 's1', how: 'birthday', alien: '203.0.113.9:9' },
  ]);
  shown.take(passage('s3', { alien: '198.51.100.7:7' }));
  shown.take({ event: 'moved', session: 's1', path: 'tcp', alien: '203.0.113.9:80' });
  expect(shown.snapshot().sessions).toMatchObject([
    { session: 's1', how: 'birthday', alien: '203.0.113.9:80' },
    { session: 's3', state: 'passage' },
  ]);
});

test('what failed or was refused is counted, and the last failure is told without its length', () => {
  const { clock, board: shown } = board();
  shown.take({ event: 'answered', session: 's1', peer: 'p', ms: 1 });
  shown.take({ event: 'failed', session: 's1', code: 'HANDSHAKE_TIMEOUT', message: 'x'.repeat(9_999) });
  shown.take({ event: 'refused', code: 'LIMIT_REACHED', message: 'full' });
  clock.now += 2_000;
  const status = shown.snapshot();
  expect(status).toMatchObject({ failures: 1, refusals: 1, sessions: [], lastFailure: { agoMs: 2_000 } });
  expect(status.lastFailure?.message).toHaveLength(300);
});

test('an inviter that asks again shows the newest attempt, beside what stands already', () => {
  const { board: shown } = board('invite');
  shown.take(passage('s0'));
  shown.take({ event: 'tunnel-open', session: 's0', imports: [], offered: [] });
  shown.take({ event: 'invited', session: 's1', peer: 'p' });
  shown.take({ event: 'invited', session: 's2', peer: 'p' });
  expect(shown.snapshot().sessions.map(({ session, state }) => [session, state])).toEqual([
    ['s0', 'tunnel'],
    ['s2', 'inviting'],
  ]);
});

test('a leak of sessions stays bounded', () => {
  const { board: shown } = board();
  for (let i = 0; i < 5_000; i++) shown.take({ event: 'answered', session: `s${i}`, peer: 'p', ms: 1 });
  expect(shown.snapshot().sessions).toHaveLength(1_024);
});

test('no secret of a passage is in what others are shown', () => {
  const { board: shown } = board();
  shown.take(passage('s1', { secret: 'geheim', sessionKey: 'geheim', puzzle: 'geheim' }));
  expect(JSON.stringify(shown.snapshot())).not.toContain('geheim');
});
