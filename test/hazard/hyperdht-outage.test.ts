import { readdirSync } from 'node:fs';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openHyperdht } from '../../src/rendezvous/hyperdht/backend.js';
import { CONTEXT, EchoingBob, exchange, invitation } from '../support/dht-sides.js';
import { Testnet } from '../support/testnet.js';

let net: Testnet;
beforeEach(async () => {
  net = await Testnet.start(3);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await net.down();
});

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const descriptors = () => readdirSync('/proc/self/fd').length;

/** Lets hours pass by both clocks at once, as they do for a machine that slept or a timer that fires late. */
function leap(): (ms: number) => void {
  const [wall, steady] = [Date.now.bind(Date), performance.now.bind(performance)];
  let ahead = 0;
  vi.spyOn(Date, 'now').mockImplementation(() => wall() + ahead);
  vi.spyOn(performance, 'now').mockImplementation(() => steady() + ahead);
  return (ms) => {
    ahead += ms;
  };
}

test.skipIf(process.platform !== 'linux')(
  'after a day without network an acceptor is found again within seconds, and holds no more than before',
  async () => {
    const bob = await EchoingBob.start(net.settings);
    const first = await openHyperdht(net.settings, CONTEXT);
    await exchange(first, invitation());
    await first.close();
    const before = descriptors();
    const pass = leap();
    await net.down();
    for (let hour = 0; hour < 24; hour += 6) {
      pass(6 * 3_600_000);
      await pause(2_000);
    }
    await net.up();
    const alice = await openHyperdht(net.settings, CONTEXT);
    const { ms } = await exchange(alice, invitation());
    expect(ms).toBeLessThan(10_000);
    expect(bob.got).toHaveLength(2);
    await alice.close();
    // Nodes that were replaced are gone; the new one has as many sockets as the old.
    await vi.waitFor(() => expect(descriptors()).toBeLessThanOrEqual(before + 2), 20_000);
    await bob.close();
  },
  40_000,
);
