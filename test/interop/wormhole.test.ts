import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { formatName } from '../../src/identity/names.js';
import { AWL, AwlProcess } from '../support/awl.js';
import { makeWorld } from '../support/world.js';
import { ask, freeUdpPort, HOST, tcpService } from '../support/wormhole.js';

const started = new Set<ChildProcess>();

afterEach(() => {
  for (const child of started) child.kill('SIGKILL');
  started.clear();
});

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  output(): string;
  says(text: string): Promise<void>;
}

function awl(args: readonly string[], env: Record<string, string> = {}): Running {
  const child = spawn(process.execPath, [AWL, ...args], { env: { ...process.env, ...env } });
  started.add(child);
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', (status) => resolve(status)));
  return {
    child,
    ended,
    output: () => output,
    async says(text) {
      for (let i = 0; i < 1000 && !output.includes(text); i++) {
        if (child.exitCode !== null) break;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      if (!output.includes(text)) throw new Error(`"${text}" was not said:\n${output}`);
    },
  };
}

async function pair(servicePort: number, env: Record<string, string> = {}) {
  const [here, there] = [await freeUdpPort(), await freeUdpPort()];
  const free = await tcpService(() => {});
  free.close();
  const exporter = awl(
    [
      ...['wormhole', '--purpose=export', `--service=${HOST}:${servicePort}`, '--obscure=env'],
      ...[`--gateway=${HOST}:${there}`, `--faraway=${HOST}:${here}`],
    ],
    { ...env, AWL_SECRET: '3074017309952648390' },
  );
  const importer = awl(
    [
      ...['wormhole', '--purpose', 'import', '--service', `${HOST}:${free.port}`],
      ...['--gateway', `${HOST}:${here}`, '--faraway', `${HOST}:${there}`],
    ],
    { ...env, WORMHOLE_SECRET: '3074017309952648390' },
  );
  await Promise.all([exporter.says('linked'), importer.says('linked')]);
  return { exporter, importer, port: free.port };
}

test('two processes carry downloads whole; SIGTERM on one side ends both with 0', async () => {
  const data = randomBytes(3_000_000);
  const service = await tcpService((socket) => socket.once('data', () => socket.end(data)));
  try {
    const { exporter, importer, port } = await pair(service.port);
    for (let i = 0; i < 3; i++) expect((await ask(port, 'GET')).equals(data)).toBe(true);
    importer.child.kill('SIGTERM');
    expect(await importer.ended).toBe(0);
    expect(await exporter.ended).toBe(0);
    expect(exporter.output()).toContain('the other side closed the tunnel');
    expect(exporter.output()).toContain('masking is no encryption');
    expect(exporter.output()).not.toContain('3074017309952648390');
  } finally {
    service.close();
  }
});

test('as payload of a whole session it takes over the punched path, with the secret of the environment', async () => {
  const data = randomBytes(1_000_000);
  const service = await tcpService((socket) => socket.once('data', () => socket.end(data)));
  const free = await tcpService(() => {});
  free.close();
  const world = await makeWorld('alice@example.org/laptop', 'bob@example.org/nas');
  const [alice, bob] = world.machines;
  if (!alice || !bob) throw new Error('no machines');
  const machines: AwlProcess[] = [];
  const session = (
    own: typeof alice,
    peer: typeof alice,
    purpose: string,
    port: number,
    ...more: string[]
  ) => {
    const args = [
      ...['--app-id=wormhole', `--app-repo=${own.repo}`, `--state-dir=${own.stateDir}`, '--json'],
      ...[`--host-info=${formatName(own.name)}`, `--peer-info=${formatName(peer.name)}`, '--allow-loopback'],
      ...[`--stun-server=${HOST}:${world.stun.layout.port}`, `--stun-client=${HOST}:0`],
      ...['--rendezvous=file', `--file-dir=${world.folder}`, `--exec-command=${process.execPath}`],
      `--exec-args='${AWL}' wormhole --purpose=${purpose} --service=${HOST}:${port} --obscure=env ` +
        '--gateway=%innerip%:%innerport% --faraway=%peerip%:%peerport%',
    ];
    const child = spawn(process.execPath, [AWL, ...args, ...more]);
    started.add(child);
    const machine = new AwlProcess(child);
    machines.push(machine);
    return machine;
  };
  try {
    const exporting = session(bob, alice, 'export', service.port, '--accept', '--once');
    await exporting.event('listening');
    const importing = session(alice, bob, 'import', free.port);
    await expect
      .poll(
        () =>
          ask(free.port, 'GET').then(
            (got) => got.equals(data),
            () => false,
          ),
        { timeout: 20_000 },
      )
      .toBe(true);
    importing.stop();
    await importing.ended;
    expect(await exporting.ended, exporting.output).toBe(0);
  } catch (error) {
    throw new Error(machines.map(({ output }) => output).join('\n---\n'), { cause: error });
  } finally {
    service.close();
    await world.close();
  }
});

test('a killed side is noticed by the other, which says so and ends with 75', async () => {
  const service = await tcpService((socket) => socket.pipe(socket));
  try {
    const { exporter, importer, port } = await pair(service.port, { TUBUS_PING_TIMEOUT: '1' });
    const client = connect(port, HOST);
    client.write('x');
    await once(client, 'data');
    exporter.child.kill('SIGKILL');
    const from = performance.now();
    expect(await importer.ended).toBe(75);
    expect(performance.now() - from).toBeLessThan(8000);
    expect(importer.output()).toContain('TUNNEL_LOST');
    client.destroy();
  } finally {
    service.close();
  }
});

test('nobody on the other side: 75 after the connect timeout', async () => {
  const [here, there] = [await freeUdpPort(), await freeUdpPort()];
  const place = [`--gateway=${HOST}:${here}`, `--faraway=${HOST}:${there}`, `--service=${HOST}:1`];
  const alone = awl(['wormhole', '--purpose=export', ...place], { TUBUS_ACCEPT_TIMEOUT: '1' });
  expect(await alone.ended).toBe(75);
  expect(alone.output()).toContain('HANDSHAKE_TIMEOUT');
});

test('SIGTERM while waiting for the other side is no failure', async () => {
  const [here, there] = [await freeUdpPort(), await freeUdpPort()];
  const place = [`--gateway=${HOST}:${here}`, `--faraway=${HOST}:${there}`, `--service=${HOST}:1`];
  const alone = awl(['wormhole', '--purpose=export', ...place]);
  await alone.says('waits for');
  alone.child.kill('SIGTERM');
  expect(await alone.ended).toBe(0);
});

test.each([
  [['--service=127.0.0.1:1', '--gateway=127.0.0.1:0', '--faraway=127.0.0.1:1'], '--purpose is missing'],
  [['--purpose=export', '--gateway=127.0.0.1:0', '--faraway=127.0.0.1:1'], '--service is missing'],
  [['--purpose=export', '--service=127.0.0.1', '--gateway=127.0.0.1:0', '--faraway=::1'], '--service has no'],
  [
    ['--purpose=export', '--service=127.0.0.1:1', '--gateway=127.0.0.1:0', '--faraway=[::1]:5'],
    '--faraway is no IPv4',
  ],
  [
    [
      ...['--purpose=export', '--service=127.0.0.1:1', '--gateway=127.0.0.1:0', '--faraway=127.0.0.1:1'],
      '--obscure=18446744073709551616',
    ],
    '--obscure is no number',
  ],
])('a wrong command line %# is said so, with 64', async (args, message) => {
  const wrong = awl(['wormhole', ...args]);
  expect(await wrong.ended).toBe(64);
  expect(wrong.output()).toContain(message);
  expect(wrong.output()).not.toContain('18446744073709551616');
});
