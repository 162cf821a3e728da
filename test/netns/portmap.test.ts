import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AWL } from '../support/awl.js';
import { Lab } from '../support/lab.js';
import { LabPair } from '../support/lab-awl.js';
import { ROOT } from '../support/lab-mail.js';
import { MiniUpnpd } from '../support/miniupnpd.js';
import { needs } from '../support/needs.js';

/** Maps one port by the protocol named; prints where, then what arrives; ends the lease when standard input does. */
const HOLDER = `
const [protocol, root, lifetime] = process.argv.slice(1);
const { searchRouters } = await import(root + '/stun/portmap/search.js');
const { PortLease } = await import(root + '/stun/portmap/lease.js');
const { UdpSocket } = await import(root + '/util/udp.js');
const { silentLogger } = await import(root + '/log.js');
const socket = await UdpSocket.bind({ address: '0.0.0.0', port: 0 });
socket.subscribe((data) => console.log(data.toString()));
const found = await searchRouters(silentLogger, AbortSignal.timeout(9000)).all;
const all = found.filter((mapper) => mapper.protocol === protocol);
const lease = new PortLease({ search: { first: Promise.resolve(all[0]), all: Promise.resolve(all) }, port: socket.local.port, log: silentLogger, ...(lifetime && { lifetimeS: Number(lifetime), shortestS: 1 }) });
await lease.settled;
console.log(JSON.stringify({ external: lease.external, name: all[0]?.name, found: found.map((one) => one.protocol) }));
process.stdin.resume().on('end', async () => { await lease.close(); await socket.close(); process.exit(); });
`;

/** Renewed at 5 s and at half of what is left from then on. */
const LEASE_S = 10;

/**
 *   a -- nata (symmetric, miniupnpd) -- 4 routers -- natb (symmetric) -- b
 */
describe.skipIf(!needs('root', 'ip', 'nft', 'python3', 'miniupnpd'))('ports mapped at a real router', () => {
  let lab: Lab;
  let router: MiniUpnpd;
  const code = { dir: join(ROOT, 'dist') };
  beforeAll(async () => {
    lab = await Lab.up('map', { a: 'symmetric', b: 'symmetric', publicA: '44.55.66' });
    router = await MiniUpnpd.start(lab, 'nata');
  });
  afterAll(async () => {
    await lab?.down();
  });

  test.each(['pcp', 'nat-pmp', 'upnp'])(
    '%s: a stranger’s datagram comes in until the lease ends',
    async (protocol) => {
      const holder = lab.spawn('a', process.execPath, [
        '--input-type=module',
        '-e',
        HOLDER,
        '--',
        protocol,
        code.dir,
      ]);
      const { stdin, stdout } = holder;
      if (!stdin || !stdout) throw new Error('no pipes');
      const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
      const { external, name, found } = JSON.parse((await lines.next()).value ?? '{}');
      expect([...found].sort()).toEqual(['nat-pmp', 'pcp', 'upnp']);
      expect(external).toMatchObject({ address: '44.55.66.10' });
      if (protocol === 'upnp') expect(name).toBe('Debian router');
      expect(await router.ports()).toEqual([external.port]);
      const send = `require('dgram').createSocket('udp4').send('hello', ${external.port}, '${external.address}', () => process.exit())`;
      await lab.run('b', process.execPath, ['-e', send]);
      expect((await lines.next()).value).toBe('hello');
      stdin.end();
      await once(holder, 'exit');
      expect(await router.ports()).toEqual([]);
    },
  );

  test('a lease is renewed while it lasts: the port outlives what the router granted, one of a killed process does not', async () => {
    const hold = async (protocol: string) => {
      const args = ['--input-type=module', '-e', HOLDER, '--', protocol, code.dir, String(LEASE_S)];
      const child = lab.spawn('a', process.execPath, args);
      if (!child.stdout) throw new Error('no pipe');
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      const { external } = JSON.parse((await lines.next()).value ?? '{}');
      return { child, port: external.port as number };
    };
    const held = await Promise.all(['pcp', 'nat-pmp', 'upnp'].map(hold));
    const crashed = await Promise.all(['pcp', 'nat-pmp', 'upnp'].map(hold));
    for (const { child } of crashed) child.kill('SIGKILL');
    const ports = held.map(({ port }) => port).sort();
    // Gone are those that nobody renewed; by then every other lease is older than what was granted at first.
    await expect.poll(async () => (await router.ports()).sort(), { timeout: 40_000 }).toEqual(ports);
    for (const { child } of held) child.stdin?.end();
    await Promise.all(held.map(({ child }) => once(child, 'exit')));
    expect(await router.ports()).toEqual([]);
  });

  test('SIGINT before the peer has answered leaves no port open at the router', async () => {
    await lab.stun();
    const pair = await LabPair.make();
    const alice = pair.start(lab, 'a', 'a', '--stun-server=192.0.2.10', ...pair.exec('hello'));
    await alice.event('invited');
    await expect.poll(() => router.ports(), { interval: 50 }).toHaveLength(1);
    alice.stop('SIGINT');
    expect(await alice.ended, alice.output).toBe(130);
    expect(await router.ports()).toEqual([]);
  });

  test('awl doctor says which router forwards, and leaves nothing behind', async () => {
    const { stdout } = await lab.run('a', process.execPath, [
      AWL,
      'doctor',
      '--json',
      '--stun-server=192.0.2.10',
    ]);
    expect(JSON.parse(stdout)).toMatchObject({
      portMapping: {
        state: 'mapped',
        gateway: '192.168.10.1',
        external: expect.stringMatching(/^44\.55\.66\.10:/),
      },
      prospects: { symmetric: 'direct' },
      change: null,
    });
    expect(await router.ports()).toEqual([]);
  });

  test('--port-mapping=off asks the router for nothing', async () => {
    const pair = await LabPair.make();
    const alice = pair.start(
      lab,
      'a',
      'a',
      '--stun-server=192.0.2.10',
      '--port-mapping=off',
      ...pair.exec('hello'),
    );
    await alice.event('invited');
    expect(alice.output).not.toMatch(/forwards|maps/);
    expect(await router.ports()).toEqual([]);
    alice.stop('SIGINT');
    expect(await alice.ended, alice.output).toBe(130);
  });
});
