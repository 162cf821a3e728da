import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { bind, transact } from '../../src/stun/client.js';
import { probe } from '../../src/stun/probe.js';
import { StunServer } from '../../src/stun/server.js';
import type { Endpoint } from '../../src/util/endpoint.js';
import { UdpSocket } from '../../src/util/udp.js';
import { needs } from '../support/needs.js';
import { tempDir } from '../support/tmp.js';

const ADDRESSES = ['127.0.0.1', '127.0.0.2'];
const STARTUP_TRIES = 100;

interface Ports {
  readonly port: number;
  readonly altPort: number;
}

/** Two ports that are free on both addresses. */
async function freePorts(): Promise<Ports> {
  const server = await StunServer.start({ addresses: ADDRESSES, port: 0, altPort: 0 });
  await server.close();
  return server.layout;
}

/** Starts a foreign server and waits until it answers. */
async function startServer(command: string, args: readonly string[], ports: Ports): Promise<ChildProcess> {
  const child = spawn(command, args, { stdio: 'ignore' });
  const socket = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  try {
    for (let tries = 0; tries < STARTUP_TRIES; tries++) {
      const server = { address: '127.0.0.1', port: ports.port };
      const outcome = await transact(socket, server, { schedule: [100] });
      if (outcome.kind === 'answer') return child;
    }
    throw new Error(`${command} ${args.join(' ')} does not answer`);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    await socket.close();
  }
}

async function stop(child: ChildProcess | undefined): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

function coturn({ port, altPort }: Ports): Promise<ChildProcess> {
  const dir = tempDir();
  const config = join(dir, 'turn.conf');
  writeFileSync(
    config,
    [
      `listening-port=${port}`,
      `alt-listening-port=${altPort}`,
      ...ADDRESSES.map((address) => `listening-ip=${address}`),
      'stun-only',
      'no-auth',
      'no-tls',
      'no-dtls',
      'no-cli',
      'no-tcp',
      'log-file=stdout',
      `pidfile=${join(dir, 'turn.pid')}`,
      `userdb=${join(dir, 'turndb')}`,
      '',
    ].join('\n'),
  );
  return startServer('turnserver', ['-c', config], { port, altPort });
}

function stund({ port, altPort }: Ports): Promise<ChildProcess> {
  const [first = '', second = ''] = ADDRESSES;
  const args = ['-h', first, '-a', second, '-p', String(port), '-o', String(altPort)];
  return startServer('stund', args, { port, altPort });
}

describe.each([
  { name: 'coturn', program: 'turnserver', start: coturn },
  { name: 'stund, which knows RFC 3489 only', program: 'stund', start: stund },
])('our client and $name', ({ program, start }) => {
  const runnable = needs(program);
  let ports: Ports;
  let child: ChildProcess | undefined;
  let socket: UdpSocket;
  let server: Endpoint;
  beforeAll(async () => {
    if (!runnable) return;
    ports = await freePorts();
    server = { address: '127.0.0.1', port: ports.port };
    child = await start(ports);
  });
  afterAll(() => stop(child));
  beforeEach(async () => {
    socket = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  });
  afterEach(() => socket.close());

  test.skipIf(!runnable).each([false, true])(
    'the endpoint and the other address are read, classic %s',
    async (classic) => {
      const answer = await bind(socket, server, { classic });
      expect(answer.mapped).toEqual(socket.local);
      expect(answer.alternate).toEqual({ address: '127.0.0.2', port: ports.altPort });
    },
  );

  test.skipIf(!runnable).each([
    [true, true],
    [true, false],
    [false, true],
  ])('CHANGE-REQUEST ip %s port %s is answered from there', async (changeIp, changePort) => {
    for (const classic of [false, true]) {
      const answer = await bind(socket, server, { changeIp, changePort, classic });
      expect(answer.from).toEqual({
        address: changeIp ? '127.0.0.2' : '127.0.0.1',
        port: changePort ? ports.altPort : ports.port,
      });
      expect(answer.mapped).toEqual(socket.local);
    }
  });

  test.skipIf(!runnable)('one server of this kind is enough for a whole report', async () => {
    expect(await probe(socket, [server]).report).toEqual({
      nat: 'no',
      mapping: 'endpoint-independent',
      filtering: 'endpoint-independent',
      hairpin: 'not-measured',
      portPreservation: 'yes',
    });
  });
});

describe.skipIf(!needs('turnutils_natdiscovery'))('coturn’s client and our server', () => {
  test('its RFC 5780 discovery finds what is there', async () => {
    const server = await StunServer.start({ addresses: ADDRESSES, port: 0, altPort: 0 });
    try {
      const args = ['-m', '-f', '-p', String(server.layout.port), server.endpoint.address];
      const { stdout, stderr } = await promisify(execFile)('turnutils_natdiscovery', args, {
        timeout: 20_000,
      });
      const text = stdout + stderr;
      expect(text).toContain('NAT with Endpoint Independent Mapping!');
      expect(text).toContain('NAT with Endpoint Independent Filtering!');
      expect(text).toContain(`Other addr: : 127.0.0.2:${server.layout.altPort}`);
      expect(text).toContain('No ALG: Mapped == XOR-Mapped');
    } finally {
      await server.close();
    }
  });
});
