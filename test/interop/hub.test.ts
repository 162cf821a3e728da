import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { parseName } from '../../src/identity/names.js';
import { exportIdentity, trustIdentity } from '../../src/identity/onboarding.js';
import { AWL, AwlProcess } from '../support/awl.js';
import { storedIdentity } from '../support/key-store.js';
import { tempDir } from '../support/tmp.js';
import { until } from '../support/world.js';

const running: AwlProcess[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) {
    one.stop();
    await one.ended;
  }
});

function awl(...args: string[]): AwlProcess {
  const process_ = new AwlProcess(
    spawn(process.execPath, [AWL, ...args], { stdio: ['ignore', 'pipe', 'pipe'] }),
  );
  running.push(process_);
  return process_;
}

/** Ports that are free now; the hub needs fixed ones. */
async function freePorts(count: number): Promise<number[]> {
  const { createSocket } = await import('node:dgram');
  const sockets = Array.from({ length: count }, () => createSocket('udp4'));
  for (const socket of sockets) {
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
  }
  const ports = sockets.map((socket) => socket.address().port);
  for (const socket of sockets) socket.close();
  return ports;
}

test('one hub is all that two machines need: STUN, DHT, a session by its printed options, counters and status', async () => {
  const [stun, alt, dht, metricsPort, relay] = await freePorts(5);
  const state = tempDir();
  const hub = awl(
    'hub',
    '--listen=127.0.0.1',
    `--state-dir=${state}`,
    '--relay',
    `--relay-port=${relay}`,
    `--relay-allow=${'ab'.repeat(32)}`,
    `--port=${stun}`,
    `--alt-port=${alt}`,
    `--node-port=${dht}`,
    `--metrics=127.0.0.1:${metricsPort}`,
  );
  await until('the hub ready', () => hub.output.includes('metrics on'));
  const options = /hub ready: (--stun-server=\S+) (--dht-bootstrap=\S+)/.exec(hub.output);
  expect(options).not.toBeNull();
  const [, stunOption, dhtOption] = options as unknown as [string, string, string];

  const folder = tempDir();
  const names = { a: 'alice@example.org/laptop', b: 'bob@example.org/nas' };
  const repos = { a: join(folder, 'a'), b: join(folder, 'b') };
  for (const side of ['a', 'b'] as const) await storedIdentity(repos[side], parseName(names[side]));
  await trustIdentity(repos.b, await exportIdentity(repos.a, parseName(names.a)));
  await trustIdentity(repos.a, await exportIdentity(repos.b, parseName(names.b)));
  const side = (own: 'a' | 'b', ...args: string[]) =>
    awl(
      '--json',
      '--app-id=hub',
      `--app-repo=${repos[own]}`,
      `--host-info=${names[own]}`,
      `--peer-info=${names[own === 'a' ? 'b' : 'a']}`,
      `--state-dir=${join(folder, `state-${own}`)}`,
      stunOption,
      dhtOption,
      '--rendezvous=hyperdht',
      '--stun-client=127.0.0.1:0',
      '--allow-loopback',
      '--exec-command=true',
      ...args,
    );
  const bob = side('b', '--accept', '--once');
  await bob.event('listening');
  const alice = side('a');
  expect(await alice.ended, alice.output).toBe(0);
  expect(await bob.ended, bob.output).toBe(0);
  expect(alice.find('passage')?.confirmed).toBe(true);

  const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  expect(Number(/^awl_stun_answered_total (\d+)$/m.exec(text)?.[1])).toBeGreaterThan(1);
  expect(text).toMatch(/^awl_dht_nodes \d+$/m);
  expect((await fetch(`http://127.0.0.1:${metricsPort}/other`)).status).toBe(404);

  const [people, machines] = [
    awl('status', `--state-dir=${state}`),
    awl('status', `--state-dir=${state}`, '--json'),
  ];
  expect(await people.ended, people.output).toBe(0);
  expect(people.output).toMatch(/^awl hub \d+ up \d+ s\n {2}STUN on 127\.0\.0\.1:\d+: [1-9]\d* answered/);
  expect(people.output).toContain(`relay on 127.0.0.1:${relay} for 1 identity: 0 sessions, 0 waiting`);
  expect(await machines.ended, machines.output).toBe(0);
  expect(machines.lines).toMatchObject([
    { mode: 'hub', relay: { sessions: 0, open: [] }, dht: { at: dhtOption.split('=')[1] } },
  ]);

  const doctor = awl('doctor', stunOption, dhtOption, '--rendezvous=hyperdht', '--stun-client=127.0.0.1:0');
  expect(await doctor.ended, doctor.output).toBe(0);
  expect(doctor.output).toMatch(/Rendezvous +hyperdht \(127\.0\.0\.1:\d+\): a node answers, after \d+ ms/);
});

test('the doctor names a rendezvous that does not answer, and its status says so', async () => {
  const [stun, alt, dead] = await freePorts(3);
  const server = awl('stun-server', '--listen=127.0.0.1', `--port=${stun}`, `--alt-port=${alt}`);
  await until('the STUN server ready', () => server.output.includes('ready'));
  const doctor = awl(
    'doctor',
    `--stun-server=127.0.0.1:${stun}`,
    '--stun-client=127.0.0.1:0',
    '--rendezvous=hyperdht',
    `--dht-bootstrap=127.0.0.1:${dead}`,
    '--json',
  );
  expect(await doctor.ended, doctor.output).toBe(69);
  const [report] = doctor.events as unknown as [{ rendezvous: unknown[] }];
  expect(report.rendezvous).toMatchObject([
    {
      name: 'hyperdht',
      ok: false,
      code: 'RENDEZVOUS_UNREACHABLE',
      message: expect.stringContaining(String(dead)),
    },
  ]);
});

test('a busy port ends the hub with a clear word', async () => {
  const [port, alt, dht] = await freePorts(3);
  const flags = ['--listen=127.0.0.1', `--port=${port}`, `--alt-port=${alt}`, `--node-port=${dht}`];
  flags.push(`--state-dir=${tempDir()}`);
  const first = awl('hub', ...flags);
  await until('the hub ready', () => first.output.includes('hub ready'));
  const second = awl('hub', ...flags);
  expect(await second.ended).toBe(74);
  expect(second.output).toMatch(/UDP_BIND.*\n.*hint/);
});
