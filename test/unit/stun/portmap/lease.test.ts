import { afterEach, describe, expect, test } from 'vitest';
import { silentLogger } from '../../../../src/log.js';
import { PortLease } from '../../../../src/stun/portmap/lease.js';
import type { Granted, MapRequest, PortMapper } from '../../../../src/stun/portmap/mapper.js';
import type { RouterSearch } from '../../../../src/stun/portmap/search.js';

const EXTERNAL = { address: '203.0.113.7', port: 4000 };

/** A router in memory. */
class Mapper implements PortMapper {
  readonly protocol = 'pcp';
  readonly gateway = '192.168.1.1';
  readonly asked: MapRequest[] = [];
  readonly ended: Granted[] = [];
  readonly #answer: (count: number) => Granted;

  constructor(answer: (count: number) => Granted) {
    this.#answer = answer;
  }
  async map(request: MapRequest): Promise<Granted> {
    this.asked.push(request);
    return this.#answer(this.asked.length);
  }
  async unmap(_request: MapRequest, granted: Granted): Promise<void> {
    this.ended.push(granted);
  }
}

const refusing = () =>
  new Mapper(() => {
    throw new Error('no');
  });

function search(...mappers: PortMapper[]): RouterSearch {
  return { first: Promise.resolve(mappers[0]), all: Promise.resolve(mappers) };
}

const leases: PortLease[] = [];
afterEach(() => Promise.all(leases.splice(0).map((lease) => lease.close())));
async function lease(of: RouterSearch): Promise<PortLease> {
  const made = new PortLease({ search: of, port: 4000, log: silentLogger });
  leases.push(made);
  await made.settled;
  return made;
}

/** A busy machine may be late by a second, and the lease must not be over by then. */
const LONG_S = 5;
const PATIENTLY = { interval: 20, timeout: 30_000 };

describe('a mapped port', () => {
  test('is had, and taken back once however often the lease is closed', async () => {
    const router = new Mapper(() => ({ external: EXTERNAL, lifetimeS: 1200 }));
    const held = await lease(search(router));
    expect(held.external).toEqual(EXTERNAL);
    expect(router.asked).toMatchObject([{ port: 4000, wanted: 4000 }]);
    await Promise.all([held.close(), held.close()]);
    expect(held.external).toBeUndefined();
    expect(router.ended).toHaveLength(1);
  });

  test('where the first protocol refuses, the next one is asked, and all refusing is no error', async () => {
    const [no, yes] = [refusing(), new Mapper(() => ({ external: EXTERNAL, lifetimeS: 1200 }))];
    expect((await lease(search(no, yes))).external).toEqual(EXTERNAL);
    const none = await lease(search(refusing(), refusing()));
    expect(none.external).toBeUndefined();
    expect(none.problem).toContain('no');
    expect((await lease(search())).external).toBeUndefined();
  });

  test.each([
    ['10.0.0.5', 4000, 'itself behind a NAT'],
    ['100.64.1.2', 4000, 'itself behind a NAT'],
    ['127.0.0.1', 4000, 'nobody can reach'],
    ['0.0.0.0', 4000, 'nobody can reach'],
    ['224.0.0.1', 4000, 'nobody can reach'],
    ['203.0.113.7', 80, 'nobody can reach'],
  ])(
    '%s:%i is no place to be reached at: said, told to nobody, and taken back',
    async (address, port, why) => {
      const router = new Mapper(() => ({ external: { address, port }, lifetimeS: 1200 }));
      const held = await lease(search(router));
      expect(held.external).toBeUndefined();
      expect(held.problem).toContain(why);
      expect(router.ended).toHaveLength(1);
    },
  );

  test('is renewed with the same nonce and port before it runs out', async () => {
    const router = new Mapper((count) => {
      if (count === 2) throw new Error('just restarting');
      return { external: { ...EXTERNAL, port: 4000 + count }, lifetimeS: LONG_S };
    });
    const held = new PortLease({ search: search(router), port: 4000, log: silentLogger, shortestS: 0.05 });
    leases.push(held);
    await expect.poll(() => router.asked.length, PATIENTLY).toBeGreaterThanOrEqual(3);
    const [first, , third] = router.asked;
    expect(third).toEqual({ ...first, wanted: 4001 });
    await expect.poll(() => held.external?.port, PATIENTLY).toBeGreaterThanOrEqual(4003);
    await held.close();
    expect(router.ended).toHaveLength(1);
  });

  test('what the router renews no more is not asked for again for ever', async () => {
    const router = new Mapper((count) => {
      if (count > 1) throw new Error('gone');
      return { external: EXTERNAL, lifetimeS: LONG_S };
    });
    const held = new PortLease({ search: search(router), port: 4000, log: silentLogger, shortestS: 2 });
    leases.push(held);
    await expect.poll(() => router.asked.length, PATIENTLY).toBeGreaterThanOrEqual(3);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(router.asked.length).toBeLessThan(7);
  });

  test('a lease that is closed while the router still thinks leaves nothing mapped', async () => {
    let grant: (granted: Granted) => void = () => {};
    const router = new Mapper(() => ({ external: EXTERNAL, lifetimeS: 1200 }));
    router.map = (request) => {
      router.asked.push(request);
      return new Promise((resolve) => {
        grant = resolve;
      });
    };
    const made = new PortLease({ search: search(router), port: 4000, log: silentLogger });
    await expect.poll(() => router.asked.length).toBe(1);
    const closing = made.close();
    grant({ external: EXTERNAL, lifetimeS: 1200 });
    await closing;
    expect(router.ended).toHaveLength(1);
  });
});
