import { expect, onTestFinished, test } from 'vitest';
import { silentLogger } from '../../../src/log.js';
import { NatWatches } from '../../../src/session/nat-watch.js';
import { StunServer } from '../../../src/stun/server.js';
import type { NatReport } from '../../../src/wire/nat-report.js';
import { until } from '../../support/world.js';

test('acceptors of one process that ask the same servers measure once, and all are told', async () => {
  const stun = await StunServer.start({ addresses: ['127.0.0.1'], port: 0, altPort: 0 });
  onTestFinished(() => stun.close());
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const watches = new NatWatches(stop.signal);
  const servers = [{ host: '127.0.0.1', port: stun.layout.port }];
  const [one, two] = [0, 1].map(() => watches.of([...servers], '127.0.0.1', silentLogger));
  expect(one).toBe(two);
  expect(watches.of(servers, '127.0.0.2', silentLogger)).not.toBe(one);
  expect(watches.of([{ host: '127.0.0.1', port: 1 }], '127.0.0.1', silentLogger)).not.toBe(one);

  const told: [string, NatReport][] = [];
  one?.onReport((report) => told.push(['first', report]));
  const forget = one?.onReport((report) => told.push(['gone', report]));
  forget?.();
  expect(one?.current()).toMatchObject({ nat: 'not-measured' });
  await until('the report', () => told.length > 0, 20_000);
  two?.onReport((late) => told.push(['late', late]));
  expect(told.map(([who, { nat }]) => [who, nat])).toEqual([
    ['first', 'no'],
    ['late', 'no'],
  ]);
});
