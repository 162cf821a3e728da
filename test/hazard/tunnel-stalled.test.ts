import { expect, test } from 'vitest';
import { beside, carriesData, echoes, forgedTunnel } from '../support/forged-tunnel.js';
import { type Attack, ackOf, forge, seqOf, streamOf, UDX } from '../support/forger.js';

/** Nothing moves any more, and only the silence shows it. */
const STALLS: Readonly<Record<string, () => Attack>> = {
  'an end of one lane': () => beside((packet) => [forge(packet, UDX.end, { seq: seqOf(packet) + 1 })]),
  'a window that is shut for ever': () =>
    beside((packet) => [forge(packet, 0, { window: 0, seq: seqOf(packet) + 100_000 })]),
  'data that is swallowed and acknowledged': () => {
    let swallowed = false;
    let acks: number | undefined;
    return (packet, fromInviter) => {
      if (fromInviter && !swallowed && carriesData(packet)) {
        swallowed = true;
        return { drop: true, packets: [] };
      }
      if (fromInviter || !swallowed) return undefined;
      acks ??= streamOf(packet);
      // The next path has other streams, and is left alone.
      if (acks !== streamOf(packet)) return undefined;
      return { packets: [1, 2, 3, 4].map((by) => forge(packet, 0, { ack: ackOf(packet) + by })) };
    };
  },
};

/** How often the path was lost. */
async function stalls(what: string, make: () => Attack): Promise<number> {
  const { alice, forger, session, stop, client } = await forgedTunnel();
  await echoes(client, 50_000);
  forger.attack = make();
  await echoes(client, 300_000);
  expect(forger.forged, what).toBeGreaterThan(0);
  stop.abort();
  expect(await session, what).toBe(0);
  return alice.events.filter(({ event }) => event === 'reconnecting').length;
}

test('forged packets that stall a path are noticed by the silence, and cost a new path', async () => {
  const breaks = await Promise.all(Object.entries(STALLS).map(([what, make]) => stalls(what, make)));
  expect(Math.max(...breaks)).toBeLessThanOrEqual(3);
  expect(breaks.filter((count) => count > 0).length).toBeGreaterThanOrEqual(2);
});
