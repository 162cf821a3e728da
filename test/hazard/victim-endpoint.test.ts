import { afterEach, describe, expect, test, vi } from 'vitest';
import { SILENT_MAX_BYTES, SILENT_MAX_DATAGRAMS } from '../../src/constants.js';
import { AwlError } from '../../src/errors.js';
import { silentLogger } from '../../src/log.js';
import { WIDE_MAX_DATAGRAMS } from '../../src/punch/limits.js';
import { punch } from '../../src/punch/puncher.js';
import { UdpSocket } from '../../src/util/udp.js';
import { KINDS, PAIRS } from '../natsim/kinds.js';
import { Random } from '../natsim/random.js';
import { machine, QUIET, reportOf, scene, TIMEOUT_MS } from '../natsim/scene.js';

afterEach(() => {
  vi.useRealTimers();
});

/** A signed message may name anybody: the victim never answers, and must hardly notice. */
describe('a verified peer that names a silent victim', () => {
  test.each([
    ['invite', false],
    ['invite', true],
    ['accept', false],
    ['accept', true],
  ] as const)('as the %s side (key: %s) gets at most 64 datagrams and 2 kB out of us', (role, withKey) => {
    for (const timeoutMs of [TIMEOUT_MS, 10 * TIMEOUT_MS]) {
      const random = new Random(5);
      const s = scene({ invite: [], accept: [] }, QUIET, random);
      const one = machine(s, role, 0, random, withKey ? { confirmKey: random.bytes(32) } : {});
      let datagrams = 0;
      let bytes = 0;
      for (let now = 0; now <= timeoutMs && !one.outcome; now += 50) {
        one.tick(now);
        for (const { data } of one.take()) {
          datagrams += 1;
          bytes += data.length;
        }
      }
      expect(datagrams).toBeGreaterThan(5);
      expect(datagrams).toBeLessThanOrEqual(SILENT_MAX_DATAGRAMS);
      expect(bytes).toBeLessThanOrEqual(SILENT_MAX_BYTES);
    }
  });

  test('gets no more of any rung of the ladder, but for the searches that it asked for', () => {
    for (const [inviter, acceptor] of PAIRS) {
      for (const role of ['invite', 'accept'] as const) {
        const random = new Random(6);
        const boxes = { invite: KINDS[inviter], accept: KINDS[acceptor] };
        const s = scene(boxes, QUIET, random);
        const other = role === 'invite' ? 'accept' : 'invite';
        const reports = { own: reportOf(boxes[role]), peer: reportOf(boxes[other]) };
        const ladder = { confirmKey: random.bytes(32), reports, ladder: true, birthday: true };
        const one = machine(s, role, 0, random, ladder);
        let bytes = 0;
        for (let now = 0; !one.outcome; now += 50) {
          one.tick(now);
          for (const { data } of one.take()) bytes += data.length;
        }
        const { sent, wide } = one.stats;
        expect(sent).toBeGreaterThan(5);
        expect(sent - wide).toBeLessThanOrEqual(SILENT_MAX_DATAGRAMS);
        expect(bytes - 8 * wide).toBeLessThanOrEqual(SILENT_MAX_BYTES);
        expect(wide).toBeLessThanOrEqual(WIDE_MAX_DATAGRAMS);
      }
    }
  });

  test('counted at the victim itself, over a real socket, a minute long by a false clock', async () => {
    const [own, victim] = await Promise.all([
      UdpSocket.bind({ address: '127.0.0.1', port: 0 }),
      UdpSocket.bind({ address: '127.0.0.1', port: 0 }),
    ]);
    try {
      let datagrams = 0;
      victim.subscribe(() => {
        datagrams += 1;
      });
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
      const attempt = punch({
        socket: own,
        role: 'invite',
        secret: 1n,
        peer: victim.local,
        hops: 7,
        timeoutMs: 60_000,
        allowLoopback: true,
        log: silentLogger,
      }).catch((reason: unknown) => reason);
      for (let step = 0; step < 601; step++) {
        await vi.advanceTimersByTimeAsync(100);
        await new Promise((resolve) => setImmediate(resolve));
      }
      const error = await attempt;
      expect(error instanceof AwlError && error.code).toBe('HANDSHAKE_TIMEOUT');
      expect(datagrams).toBeGreaterThan(20);
      expect(datagrams).toBeLessThanOrEqual(SILENT_MAX_DATAGRAMS);
    } finally {
      await Promise.all([own.close(), victim.close()]);
    }
  });
});
