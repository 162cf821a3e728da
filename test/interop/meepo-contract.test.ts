import { streamOf } from '../../src/rendezvous/meepo/backend.js';
import { parseRedisUrl } from '../../src/rendezvous/meepo/place.js';
import { openRendezvous } from '../../src/rendezvous/registry.js';
import { backendContract, type ContractBench } from '../support/backend-contract.js';
import { needs } from '../support/needs.js';
import { redisServer } from '../support/redis-server.js';

async function redisBench(): Promise<ContractBench> {
  const server = await redisServer();
  const redis = parseRedisUrl(`redis://127.0.0.1:${server.port}/0`);
  return {
    open: (_side, ctx) => openRendezvous({ name: 'meepo', meepo: { redis } }, ctx),
    async litter(what, app) {
      const text = { garbage: '\0\xff{"awl":1', empty: '', huge: 'x'.repeat(5_000_000) }[what];
      const stream = streamOf(app, 'invite');
      await server.ask('XADD', stream, '*', 'letter', text);
      await server.ask('XADD', stream, '*', 'other', text);
    },
    async stored() {
      const keys = (await server.ask('KEYS', 'awl.letters.*')).match(/awl\.letters\.\w+/g) ?? [];
      let total = 0;
      for (const key of keys) total += Number((await server.ask('XLEN', key)).slice(1));
      return total;
    },
    async disrupt() {
      await server.stop();
      await server.start();
    },
    ageMs: 5,
    close: () => server.close(),
  };
}

if (needs('redis-server')) backendContract('meepo', redisBench);
