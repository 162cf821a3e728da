import { expect, test } from 'vitest';
import { Random } from '../natsim/random.js';
import { machine, QUIET, reaches, scene, TIMEOUT_MS } from '../natsim/scene.js';

const CONE = {
  mapping: 'endpoint-independent',
  filtering: 'endpoint-independent',
  ports: 'preserve',
} as const;
const FLOOD = 200_000;
const FLOOD_MS = 2000;

test(`${FLOOD} garbage datagrams in two seconds do not keep an honest peer out`, { timeout: 60_000 }, () => {
  const random = new Random(77);
  const s = scene({ invite: [CONE], accept: [CONE] }, QUIET, random);
  const confirmKey = random.bytes(32);
  const accept = machine(s, 'accept', 0, random, { confirmKey });
  const invite = machine(s, 'invite', 0, random, { confirmKey });
  const noise = random.bytes(1 << 16);
  const lengths = [8, 8, 8, 8, 8, 32, 7, 28, 100, 0];
  const begin = performance.now();
  for (let n = 0; n < FLOOD; n++) {
    const at = (n * FLOOD_MS) / FLOOD;
    if (n % 100 === 0) {
      s.world.at(at, () => {
        for (let k = n; k < n + 100; k++) {
          const offset = (k * 37) % 60_000;
          const data = noise.subarray(offset, offset + (lengths[k % lengths.length] ?? 0));
          // Half of it claims to come from the very peer, half from everywhere.
          const from =
            k % 2 === 0
              ? s.announced.invite
              : { address: `198.51.${k % 250}.${k % 199}`, port: 1024 + (k % 60_000) };
          accept.datagram(from, data, s.world.now);
        }
      });
    }
  }
  s.world.start(s.hosts.accept, 0, () => accept);
  // Comes late, after nearly all of it, and while it goes on.
  s.world.start(s.hosts.invite, FLOOD_MS - 200, () => invite);
  s.world.run(TIMEOUT_MS, () => Boolean(accept.outcome && invite.outcome));
  const spent = performance.now() - begin;
  expect([accept.outcome?.kind, invite.outcome?.kind]).toEqual(['done', 'done']);
  expect(accept.stats.received).toBeGreaterThan(0.9 * FLOOD);
  expect(accept.authentic && invite.authentic).toBe(true);
  expect(reaches(s, 'accept', { socket: 0, endpoint: s.announced.invite })).toBe(true);
  expect(s.world.now).toBeLessThan(15_000);
  // 100 000 datagrams a second must leave most of a core free; measured here with a wide margin.
  expect(spent).toBeLessThan(20_000);
});
