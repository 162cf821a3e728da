import { describe, expect, it } from 'vitest';
import { LivingTunnels } from '../../../src/session/living.js';
import type { Passage } from '../../../src/session/passage.js';
import type { Tunnel } from '../../../src/tunnel/tunnel.js';
import { TUNNEL_WAITING_MAX } from '../../../src/wire/tunnel-limits.js';

function passageOf(peer: string): Passage {
  const host = { owner: 'o@example.org', pin: 'host' };
  return { app: 'a', host, session: peer, peerCertificate: { fingerprint256: peer } } as unknown as Passage;
}

/** The parts of a tunnel that are looked at here. */
function fakeTunnel(id: number) {
  const words: string[] = [];
  let end = () => {};
  const closed = new Promise<string>((resolve) => {
    end = () => resolve('over');
  });
  const giveUp = (why: string) => {
    words.push(why);
    end();
  };
  return { tunnel: { token: Buffer.from([id]), closed, giveUp } as unknown as Tunnel, words };
}

function waitingOf(living: LivingTunnels, peer: string, ids: readonly number[]) {
  return ids.map((id) => {
    const made = fakeTunnel(id);
    living.add(made.tunnel, passageOf(peer));
    living.waits(made.tunnel);
    return made;
  });
}

const FULL = Array.from({ length: TUNNEL_WAITING_MAX }, (_, index) => index);

describe('tunnels that wait for their peer', () => {
  it('are bounded for each peer: the longest waiting is given up, with words', async () => {
    const living = new LivingTunnels();
    const kept = waitingOf(living, 'one', FULL);
    expect(kept.flatMap(({ words }) => words)).toEqual([]);
    waitingOf(living, 'one', [100]);
    expect(kept.map(({ words }) => words.length)).toEqual([1, ...FULL.slice(1).map(() => 0)]);
    expect(kept[0]?.words[0]).toMatch(/later tunnels of the same peer/);
    await kept[0]?.tunnel.closed;
    expect(living.find(Buffer.from([0]), passageOf('one'))).toBeUndefined();
    expect(living.find(Buffer.from([100]), passageOf('one'))).toBeDefined();
  });

  it('are not given up for those of another peer', () => {
    const living = new LivingTunnels();
    const kept = waitingOf(living, 'one', FULL);
    const others = waitingOf(living, 'two', [100]);
    expect([...kept, ...others].flatMap(({ words }) => words)).toEqual([]);
  });

  it('do not count once they have a path again', () => {
    const living = new LivingTunnels();
    const kept = waitingOf(living, 'one', FULL);
    const back = kept[0];
    if (back) living.goesOn(back.tunnel);
    const more = waitingOf(living, 'one', [100]);
    expect([...kept, ...more].flatMap(({ words }) => words)).toEqual([]);
  });
});
