import { expect, test } from 'vitest';
import { AMPLIFICATION_FACTOR, SILENT_MAX_BYTES, STRAY_MAX_BYTES } from '../../src/constants.js';
import { directionKey, encodeConfirm } from '../../src/wire/confirm.js';
import { encodeFrame } from '../../src/wire/handshake.js';
import { Random } from '../natsim/random.js';
import { machine, QUIET, scene } from '../natsim/scene.js';

const VICTIM = { address: '198.51.100.200', port: 9000 };

type Case = readonly [string, 'announced' | 'stray', boolean];

/** An attacker that knows the secret writes frames whose source is somebody else: we must not be its amplifier. */
test.each([
  ['legacy frames in the name of the announced endpoint', 'announced', false],
  ['legacy frames in its name, with a key', 'announced', true],
  ['legacy frames in the name of a stranger, with a key', 'stray', true],
] satisfies Case[])('%s draw at most three times their bytes and a constant', (_what, where, withKey) => {
  for (const perSecond of [1, 10, 200]) {
    const random = new Random(3);
    const s = scene({ invite: [], accept: [] }, QUIET, random);
    const one = machine(s, 'accept', 0, random, withKey ? { confirmKey: random.bytes(32) } : {});
    const from = where === 'announced' ? s.announced.invite : VICTIM;
    const constant = where === 'announced' ? SILENT_MAX_BYTES : STRAY_MAX_BYTES;
    let bytesIn = 0;
    let bytesOut = 0;
    for (let now = 0; now < 50_000 && !one.outcome; now += 5) {
      if (now % (1000 / perSecond) === 0) {
        const data = encodeFrame(s.secret, 0, random.bytes(7));
        bytesIn += data.length;
        one.datagram(from, data, now);
      }
      one.tick(now);
      for (const { data, to } of one.take()) if (to.address === from.address) bytesOut += data.length;
      expect(bytesOut).toBeLessThanOrEqual(AMPLIFICATION_FACTOR * bytesIn + constant);
    }
    expect(bytesOut).toBeGreaterThan(0);
  }
});

test('confirm frames replayed in the name of a stranger draw no more than that either', () => {
  const random = new Random(4);
  const s = scene({ invite: [], accept: [] }, QUIET, random);
  const confirmKey = random.bytes(32);
  const one = machine(s, 'accept', 0, random, { confirmKey });
  const replayed = encodeConfirm(directionKey(confirmKey, 'invite'), random.bytes(8));
  let bytesIn = 0;
  let bytesOut = 0;
  for (let now = 0; now < 20_000; now += 10) {
    one.datagram(VICTIM, replayed, now);
    bytesIn += replayed.length;
    one.tick(now);
    for (const { data, to } of one.take()) if (to.address === VICTIM.address) bytesOut += data.length;
    expect(bytesOut).toBeLessThanOrEqual(AMPLIFICATION_FACTOR * bytesIn + STRAY_MAX_BYTES);
  }
  expect(one.provenAt).toBeUndefined();
});
