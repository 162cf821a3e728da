import { describe, expect, it } from 'vitest';
import { AwlError } from '../../../src/errors.js';
import { silentLogger } from '../../../src/log.js';
import type { Passage } from '../../../src/session/passage.js';
import { greetFirst } from '../../../src/session/reconnecting.js';
import { lost } from '../../../src/tunnel/link.js';

const HELLO = { exports: [], keeps: true };
const QUICK = { baseMs: 1, maxMs: 1 };

/** A passage on which the first words do not get through. */
function broken(): Passage {
  const end = { address: '127.0.0.1', port: 9 };
  return {
    ...{ sessionKey: Buffer.alloc(32), role: 'invite', inner: end, alien: end },
    handOver: () => Promise.reject(lost('somebody forged its end')),
    close: async () => {},
  } as unknown as Passage;
}

/** Passages that are invited break too, up to the last, which is not to be had. */
function scene(count: number) {
  const broke: Passage[] = [];
  let invited = 0;
  const invite = async () => {
    invited += 1;
    if (invited > count) throw new AwlError('PEER_NO_ANSWER', 'enough');
    return broken();
  };
  return {
    broke,
    beginning: { invite, onBroken: (one: Passage) => void broke.push(one), log: silentLogger },
  };
}

describe('the first path of a tunnel', () => {
  it('is asked for anew however often the first words break, as long as there is time', async () => {
    const { broke, beginning } = scene(9);
    const greeted = greetFirst(broken(), HELLO, beginning, { ms: 60_000, pause: QUICK });
    await expect(greeted).rejects.toMatchObject({ code: 'PEER_NO_ANSWER' });
    expect(broke).toHaveLength(10);
  });

  it('is given up when the time is over, with what broke it', async () => {
    const { broke, beginning } = scene(1000);
    const greeted = greetFirst(broken(), HELLO, beginning, { ms: 2_000, pause: { baseMs: 100, maxMs: 100 } });
    await expect(greeted).rejects.toMatchObject({
      code: 'TUNNEL_LOST',
      message: expect.stringContaining('somebody forged its end'),
    });
    expect(broke.length).toBeGreaterThan(0);
  });

  it('is not asked for by an acceptor, who cannot', async () => {
    const { broke, beginning } = scene(9);
    const greeted = greetFirst(broken(), HELLO, { onBroken: beginning.onBroken, log: silentLogger });
    await expect(greeted).rejects.toMatchObject({ code: 'TUNNEL_LOST' });
    expect(broke).toEqual([]);
  });
});
