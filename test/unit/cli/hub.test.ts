import { afterEach, describe, expect, test } from 'vitest';
import { runDhtNode } from '../../../src/cli/dht-node.js';
import { runHub } from '../../../src/cli/hub.js';
import { metricsText, serveMetrics } from '../../../src/cli/metrics.js';
import { UdpSocket } from '../../../src/util/udp.js';
import { callAwl, collectingIo } from '../../support/cli.js';
import { freePort } from '../../support/testnet.js';
import { tempDir } from '../../support/tmp.js';
import { until } from '../../support/world.js';

const opened: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each.close()));
});

/** Runs a server command until the test is over; resolves when it says that it is ready. */
async function serving(start: (io: ReturnType<typeof collectingIo>, signal: AbortSignal) => Promise<number>) {
  const io = collectingIo();
  const controller = new AbortController();
  const running = start(io, controller.signal);
  const stop = async () => {
    controller.abort();
    return running;
  };
  opened.push({ close: stop });
  running.catch(() => {});
  await Promise.race([until('ready', () => io.err.includes('metrics on')), running]);
  return { text: io.err, stop };
}

const METRICS = { address: '127.0.0.1', port: 0 };
const scrape = async (text: string) => {
  const url = /metrics on (\S+)/.exec(text)?.[1] ?? '';
  return { url, response: await fetch(url) };
};

describe('awl dht-node', () => {
  test('names the option that clients need, counts, and gives its port back when it is stopped', async () => {
    const port = await freePort();
    const args = { listen: ['127.0.0.1'], port, bootstrap: [], metrics: METRICS };
    const { text, stop } = await serving((io, signal) => runDhtNode(args, io, signal));
    expect(text).toContain(`DHT node ready: --dht-bootstrap=127.0.0.1:${port}\n`);
    const { response } = await scrape(text);
    expect(response.headers.get('content-type')).toContain('version=0.0.4');
    expect(await response.text()).toMatch(/^# TYPE awl_dht_nodes gauge\nawl_dht_nodes 0$/m);
    expect(await stop()).toBe(0);
    opened.push(await UdpSocket.bind({ address: '127.0.0.1', port }));
  });

  test('two addresses are an error, since HyperDHT has one', async () => {
    const { status, err } = await callAwl(['dht-node', '--listen=127.0.0.1,127.0.0.2']);
    expect(status).toBe(64);
    expect(err).toMatch(/USAGE_BAD_VALUE: .*127\.0\.0\.1 and 127\.0\.0\.2/);
  });

  test('a counter port that is taken gives the DHT port back', async () => {
    const taken = await serveMetrics(METRICS, () => ({}));
    opened.push(taken);
    const port = await freePort();
    const args = { listen: ['127.0.0.1'], port, bootstrap: [], metrics: taken.endpoint };
    const failed = runDhtNode(args, collectingIo(), new AbortController().signal);
    await expect(failed).rejects.toMatchObject({ code: 'TCP_BIND', exitCode: 74 });
    opened.push(await UdpSocket.bind({ address: '127.0.0.1', port }));
  });
});

describe('awl hub', () => {
  test('where a provider maps the address, it prints the one that others reach', async () => {
    const dhtPort = await freePort();
    const args = {
      listen: ['127.0.0.1'],
      public: '192.0.2.9',
      stunPort: 0,
      altPort: 0,
      dhtPort,
      bootstrap: [],
      stateDir: tempDir(),
    };
    const { text } = await serving((io, signal) => runHub({ ...args, metrics: METRICS }, io, signal));
    expect(text).toMatch(
      new RegExp(
        `^hub ready: --stun-server=192\\.0\\.2\\.9:\\d+ --dht-bootstrap=192\\.0\\.2\\.9:${dhtPort}\n`,
      ),
    );
    const { response } = await scrape(text);
    expect(await response.text()).toMatch(/^awl_stun_answered_total 0$/m);
  });

  test('a DHT port that is taken gives the STUN ports back', async () => {
    const [stunPort, altPort] = [await freePort(), await freePort()];
    const taken = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
    opened.push(taken);
    const args = { listen: ['127.0.0.1'], stunPort, altPort, dhtPort: taken.local.port, bootstrap: [] };
    const failed = runHub(args, collectingIo(), new AbortController().signal);
    await expect(failed).rejects.toMatchObject({ code: 'UDP_BIND' });
    opened.push(await UdpSocket.bind({ address: '127.0.0.1', port: stunPort }));
  });
});

describe('metrics', () => {
  test('only what is asked for rightly is answered, and nothing can be changed', async () => {
    const server = await serveMetrics(METRICS, () => ({ awl_x: 1 }));
    opened.push(server);
    const base = `http://127.0.0.1:${server.endpoint.port}`;
    const status = async (path: string, method = 'GET') => (await fetch(base + path, { method })).status;
    expect(await status('/metrics?format=x')).toBe(200);
    expect([await status('/'), await status('/metrics/..'), await status('/metrics', 'POST')]).toEqual([
      404, 404, 404,
    ]);
  });

  test('names that end in _total are counters', () => {
    expect(metricsText({ a: 1, b_total: 2 })).toBe(
      '# TYPE a gauge\na 1\n# TYPE b_total counter\nb_total 2\n',
    );
  });
});
