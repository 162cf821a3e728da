import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { parseRedisUrl } from '../../src/rendezvous/meepo/place.js';
import { RENDEZVOUS_NAMES, type RendezvousSettings } from '../../src/rendezvous/registry.js';
import { MailServer } from '../support/mailserver.js';
import { needs } from '../support/needs.js';
import { FakeDhtNode } from '../support/opendht-fake.js';
import { redisServer } from '../support/redis-server.js';
import { Testnet } from '../support/testnet.js';
import { tempDir } from '../support/tmp.js';
import { importPort, openPair, serve, tunnelSettings } from '../support/tunnel.js';

type Name = RendezvousSettings['name'];
type Start = () => Promise<(who: 'alice' | 'bob') => RendezvousSettings>;

/** Starts what each kind needs, on loopback; it ends with the test. */
const STARTS: { readonly [N in Name]: Start } = {
  async file() {
    const folder = tempDir();
    return () => ({ name: 'file', folder });
  },
  async email() {
    const server = await MailServer.start();
    onTestFinished(() => server.close());
    return (who) => ({ name: 'email', email: server.settings(who) });
  },
  async hyperdht() {
    const net = await Testnet.start(1);
    onTestFinished(() => net.down());
    return () => ({ name: 'hyperdht', hyperdht: net.settings });
  },
  async opendht() {
    const node = await FakeDhtNode.start();
    onTestFinished(() => node.close());
    const opendht = { bootstrap: [node.hostPort], port: 0, network: 0 };
    return () => ({ name: 'opendht', opendht });
  },
  async meepo() {
    const server = await redisServer();
    onTestFinished(() => server.close());
    const redis = parseRedisUrl(`redis://127.0.0.1:${server.port}/0`);
    return () => ({ name: 'meepo', meepo: { redis } });
  },
};

const NEEDS: { readonly [N in Name]?: readonly Parameters<typeof needs>[number][] } = {
  email: ['dovecot', 'exim4', 'root'],
  meepo: ['redis-server'],
};

for (const name of RENDEZVOUS_NAMES) {
  test.skipIf(!needs(...(NEEDS[name] ?? [])))(
    `a tunnel whose letters travel over ${name} carries what either side exports`,
    async () => {
      const rendezvous = await STARTS[name]();
      const echo = await serve((socket) => socket.pipe(socket));
      onTestFinished(() => echo.close());
      const free = await Promise.all([serve(() => {}), serve(() => {})]);
      await Promise.all(free.map((server) => server.close()));
      const exports = [`${echo.port}`];
      const [alices, bobs] = free.map(({ port }) =>
        tunnelSettings({ exports, imports: [`${port}:${echo.port}`] }),
      ) as [ReturnType<typeof tunnelSettings>, ReturnType<typeof tunnelSettings>];
      const names = ['alice@awl.test/laptop', 'bob@awl.test/nas'] as const;
      const pair = await openPair(alices, bobs, { names, rendezvous });
      onTestFinished(() => pair.close());
      for (const who of ['alice', 'bob'] as const) {
        expect(pair.event(who, 'tunnel-open'), pair.lines('alice') + pair.lines('bob')).toBeDefined();
        const client = connect(importPort(pair, who), '127.0.0.1');
        client.write(`${who} over ${name}`);
        expect(String((await once(client, 'data'))[0])).toBe(`${who} over ${name}`);
        client.destroy();
      }
      pair.stopAlice.abort();
      expect(await pair.alice).toBe(0);
      expect(await pair.bob).toBe(0);
    },
  );
}
