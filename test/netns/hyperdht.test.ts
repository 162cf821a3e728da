import { symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { DHT_STALE_MS } from '../../src/rendezvous/hyperdht/limits.js';
import { JsonProcess } from '../support/awl.js';
import { type Compiled, compile } from '../support/compiled.js';
import { Lab, type LabOptions } from '../support/lab.js';
import { needs } from '../support/needs.js';

const ROOT = resolve(import.meta.dirname, '../..');
const SIDE = join(ROOT, 'test/fixtures/programs/hyperdht-side.mjs');
const NODES = { host: '192.0.2.10', port: 49737, count: 5 };
/** Mostly seconds; but a node that finds nobody is made anew after DHT_STALE_MS only, and a busy machine needs that now and then. */
const FOUND_AGAIN_MS = DHT_STALE_MS + 40_000;
const BOOTSTRAP = [{ host: NODES.host, port: NODES.port }];

interface Line {
  readonly event: string;
  readonly ms: number;
  readonly same?: boolean;
  readonly rss: number;
  readonly in: number;
  readonly out: number;
}

/** One side of the program above; its `at` is our clock, `ms` its own. */
class Side extends JsonProcess<Line> {
  event(event: string, count = 1, ms = 30_000): Promise<Line> {
    return this.nth(event, count, ms);
  }
}

/*
 *   a -- NAT -- 4 routers -- NAT -- b        a: acceptor, b: inviter
 *                  |
 *                  s   five DHT nodes on 192.0.2.10
 */
describe.skipIf(!needs('root', 'ip', 'nft', 'python3', 'tcpdump'))('HyperDHT through kernel NATs', () => {
  let compiled: Compiled;
  let lab: Lab | undefined;

  beforeAll(async () => {
    compiled = await compile('rendezvous/hyperdht/backend.ts');
    await symlink(join(ROOT, 'node_modules'), join(compiled.dir, 'node_modules'));
  }, 60_000);
  afterAll(() => compiled?.remove());
  afterEach(async () => {
    await lab?.down();
    lab = undefined;
  });

  async function up(name: string, o: LabOptions): Promise<{ nodes: Side; acceptor: Side }> {
    lab = await Lab.up(name, o);
    const nodes = start('s', 'nodes', NODES);
    await nodes.event('up');
    const acceptor = start('a', 'accept', {});
    await acceptor.event('prepared');
    return { nodes, acceptor };
  }

  function start(role: string, what: string, options: object): Side {
    const args = [SIDE, compiled.dir, what, JSON.stringify({ bootstrap: BOOTSTRAP, ...options })];
    return new Side(lab!.spawn(role, process.execPath, args));
  }

  /** All UDP that passes the acceptor's NAT, as tcpdump's lines. */
  async function sniff(): Promise<string[]> {
    const lines: string[] = [];
    const child = lab!.spawn('nata', 'tcpdump', ['-i', 'any', '-n', '-l', '-q', '--immediate-mode', 'udp']);
    child.stdout?.setEncoding('utf8').on('data', (text: string) => lines.push(...text.split('\n')));
    await new Promise((done) => child.stderr?.on('data', (text) => /listening on/.test(text) && done(text)));
    return lines;
  }

  test.each(['symmetric', 'port-restricted'])(
    'letters pass two %s NATs in small datagrams, without a hole punched',
    async (type) => {
      const { acceptor } = await up('pair', { a: type, b: type, delay: '10ms' });
      const seen = await sniff();
      const inviter = start('b', 'invite', { rounds: 12 });
      await inviter.event('answer', 12);
      await inviter.event('closed');
      expect(inviter.all('answer').every(({ same }) => same)).toBe(true);
      expect(acceptor.all('answered')).toHaveLength(12);
      // Inviter to node, node to acceptor and back are 4 x 20 ms; look-up and search of a relay as much again each.
      const took = inviter
        .all('answer')
        .map(({ ms }) => ms)
        .sort((x, y) => x - y);
      // A busy machine adds its own; letters that lie in records and are looked for take seconds.
      expect(took[2]).toBeLessThan(1000);
      const sizes = seen.flatMap((line) => (/length (\d+)/.exec(line) ?? []).slice(1).map(Number));
      expect(sizes.length).toBeGreaterThan(100);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(1172);
      const direct = seen.filter((line) => line.includes(lab!.addr['natb'] ?? 'nobody'));
      expect(direct).toEqual([]);
    },
  );

  test('a tenth of all datagrams lost delays letters, and loses none', async () => {
    await up('loss', { a: 'port-restricted', b: 'symmetric', loss: '10%' });
    const inviter = start('b', 'invite', { rounds: 12 });
    await inviter.event('answer', 12, 60_000);
    const took = inviter.all('answer').map(({ ms }) => ms);
    expect(inviter.all('answer').every(({ same }) => same)).toBe(true);
    expect(Math.max(...took)).toBeLessThan(15_000);
  });

  test('after a restart of the whole DHT, a cut and a new address the acceptor is found again', async () => {
    const { nodes, acceptor } = await up('trouble', { a: 'port-restricted', b: 'port-restricted' });
    await start('b', 'invite', {}).event('answer');
    nodes.stop('SIGKILL');
    await nodes.ended;
    const inviter = start('b', 'invite', {});
    await new Promise((done) => setTimeout(done, 3000));
    await start('s', 'nodes', NODES).event('up');
    // The one who came while there was no DHT is served, too.
    await inviter.event('answer', 1, FOUND_AGAIN_MS);

    const ip = async (...args: string[]) => (await lab!.run('a', 'ip', args)).stdout;
    const route = (await ip('route', 'show', 'default')).trim().split(/\s+/);
    const device = route[route.indexOf('dev') + 1] ?? '';
    await ip('link', 'set', device, 'down');
    await new Promise((done) => setTimeout(done, 10_000));
    await ip('link', 'set', device, 'up');
    await ip('route', 'replace', ...route);
    await start('b', 'invite', {}).event('answer', 1, FOUND_AGAIN_MS);

    await ip('addr', 'flush', 'dev', device);
    await ip('addr', 'add', '192.168.10.77/24', 'dev', device);
    await ip('route', 'replace', ...route);
    await start('b', 'invite', {}).event('answer', 1, FOUND_AGAIN_MS);
    expect(acceptor.all('answered')).toHaveLength(4);
  }, 360_000);

  test('an acceptor that slept while its NAT forgot it is found again at its new mapping', async () => {
    const { acceptor } = await up('sleep', {
      a: 'symmetric',
      b: 'port-restricted',
      udpTimeout: 4,
      udpStreamTimeout: 4,
    });
    await start('b', 'invite', {}).event('answer');
    acceptor.stop('SIGSTOP');
    await new Promise((done) => setTimeout(done, 8000));
    acceptor.stop('SIGCONT');
    const begun = performance.now();
    await start('b', 'invite', {}).event('answer', 1, 30_000);
    expect(performance.now() - begun).toBeLessThan(20_000);
    expect(acceptor.all('answered')).toHaveLength(2);
  });

  test('an acceptor that was killed is replaced by a new one while the inviter waits', async () => {
    const { acceptor } = await up('kill', { a: 'symmetric', b: 'symmetric' });
    await start('b', 'invite', {}).event('answer');
    acceptor.stop('SIGKILL');
    await acceptor.ended;
    const inviter = start('b', 'invite', {});
    await inviter.event('prepared');
    await new Promise((done) => setTimeout(done, 3000));
    const back = start('a', 'accept', {});
    await back.event('prepared');
    const begun = performance.now();
    await inviter.event('answer', 1, 30_000);
    expect(performance.now() - begun).toBeLessThan(12_000);
  });

  test('an idle acceptor stays small and quiet', async () => {
    await up('idle', { a: 'port-restricted', b: 'port-restricted' });
    const idle = start('a', 'accept', { idle: 20_000 });
    const { rss, in: received, out } = await idle.event('idle', 1, 40_000);
    expect(rss).toBeLessThan(110);
    // Two acceptors share the count: three relays kept open every three seconds each, and a look at the own door.
    expect(received + out).toBeLessThan(2 * 2 * 50);
    idle.stop();
    await idle.ended;
    expect((await idle.event('closed')).ms).toBeLessThan(5000);
  });
});
