import { describe, expect, it, onTestFinished } from 'vitest';
import { silentLogger } from '../../../src/log.js';
import { LivingTunnels } from '../../../src/session/living.js';
import type { Passage } from '../../../src/session/passage.js';
import { Entrance } from '../../../src/tunnel/entrance.js';
import type { Tunnel } from '../../../src/tunnel/tunnel.js';
import { TUNNEL_WAITING_MAX } from '../../../src/wire/tunnel-limits.js';
import { parseImport } from '../../../src/wire/tunnel-target.js';
import { tempDir } from '../../support/tmp.js';

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
    living.add(made.tunnel, passageOf(peer), new Entrance());
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

/** A tunnel of the peer in this state, and its ports: one, or none yet. */
async function enter(living: LivingTunnels, peer: string, id: number, o: { state: string; port: boolean }) {
  const made = fakeTunnel(id);
  const stats = { state: o.state, received: 100 };
  const tunnel = Object.assign(made.tunnel, { stats });
  const entrance = new Entrance();
  const imports = parseImport(`unix:${tempDir()}/port:22`);
  if (o.port) await entrance.open({ imports }, silentLogger);
  onTestFinished(() => entrance.close());
  living.add(tunnel, passageOf(peer), entrance);
  return { ...made, tunnel, stats, entrance };
}

const OPEN = { state: 'open', port: true };
const LATER = { state: 'open', port: false };

describe('local ports of a tunnel whose peer was started anew', () => {
  it('pass to its later session, once the earlier one lost its path', async () => {
    const living = new LivingTunnels();
    const earlier = await enter(living, 'one', 1, OPEN);
    const later = await enter(living, 'one', 2, LATER);
    const { at } = earlier.entrance;
    const passing = living.succeed(later.tunnel, later.entrance);
    expect(later.entrance.isOpen).toBe(false);
    earlier.stats.state = 'reconnecting';
    await passing;
    expect(later.entrance.at).toEqual(at);
    expect(earlier.entrance.isOpen).toBe(false);
    expect(earlier.words[0]).toMatch(/a later session of the same peer/);
    expect(later.words).toEqual([]);
  });

  it('stay with an earlier session that hears of its peer', async () => {
    const living = new LivingTunnels();
    const earlier = await enter(living, 'one', 1, OPEN);
    const later = await enter(living, 'one', 2, LATER);
    const passing = living.succeed(later.tunnel, later.entrance);
    earlier.stats.received += 1;
    await passing;
    expect([earlier.entrance.isOpen, later.entrance.isOpen]).toEqual([true, false]);
    expect(earlier.words).toEqual([]);
  });

  it('do not pass to another peer', async () => {
    const living = new LivingTunnels();
    const earlier = await enter(living, 'one', 1, { state: 'reconnecting', port: true });
    const stranger = await enter(living, 'two', 2, LATER);
    await living.succeed(stranger.tunnel, stranger.entrance);
    expect([earlier.entrance.isOpen, stranger.entrance.isOpen]).toEqual([true, false]);
    expect(earlier.words).toEqual([]);
  });
});
