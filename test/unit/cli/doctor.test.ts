import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { runDoctor } from '../../../src/cli/doctor.js';
import { checkText } from '../../../src/cli/rendezvous-check.js';
import { configuredRendezvous } from '../../../src/cli/rendezvous-settings.js';
import { runStunServer } from '../../../src/cli/stun-server.js';
import { silentLogger } from '../../../src/log.js';
import type { RendezvousSettings } from '../../../src/rendezvous/registry.js';
import { StunServer } from '../../../src/stun/server.js';
import { UdpSocket } from '../../../src/util/udp.js';
import { encodeStun } from '../../../src/wire/stun.js';
import { valuesOf } from '../../support/cli.js';
import { FakeImap } from '../../support/fake-imap.js';
import { FakeSmtp } from '../../support/fake-smtp.js';
import { FakeStunServer } from '../../support/stun-fake.js';
import { Testnet } from '../../support/testnet.js';
import { tempDir } from '../../support/tmp.js';

const BIND = { address: '127.0.0.1', port: 0 };
const NEVER = new AbortController().signal;
const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each.close()));
});

function collector() {
  const out = { stdout: '', stderr: '' };
  return {
    out,
    io: {
      stdout: (text: string) => {
        out.stdout += text;
      },
      stderr: (text: string) => {
        out.stderr += text;
      },
    },
  };
}

async function server(addresses = ['127.0.0.1', '127.0.0.2']) {
  const started = await StunServer.start({ addresses, port: 0, altPort: 0 });
  opened.push(started);
  return { host: '127.0.0.1', port: started.layout.port };
}

async function refusing() {
  const fake = await FakeStunServer.start((request) => [
    { bytes: encodeStun({ kind: 'error', id: request.id, error: { code: 401, reason: 'Unauthorized' } }) },
  ]);
  opened.push(fake);
  return { host: '127.0.0.1', port: fake.endpoint.port };
}

test('doctor prints the report in words and ends well', async () => {
  const { out, io } = collector();
  expect(await runDoctor({ servers: [await server()], bind: BIND, json: false }, io, NEVER)).toBe(0);
  expect(out.stdout).toMatch(/^Public endpoint {2}127\.0\.0\.1:\d+ \(seen by 127\.0\.0\.1:\d+/);
  expect(out.stdout).toContain('Nothing to change.');
  expect(out.stderr).toBe('');
});

test('doctor --json prints one object on one line', async () => {
  const { out, io } = collector();
  const { port, host } = await server();
  expect(await runDoctor({ servers: [{ host, port }], bind: BIND, json: true }, io, NEVER)).toBe(0);
  expect(out.stdout.trim().split('\n')).toHaveLength(1);
  expect(JSON.parse(out.stdout)).toMatchObject({
    endpoint: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    server: `127.0.0.1:${port}`,
    report: { nat: 'no', mapping: 'endpoint-independent' },
    prospects: { 'port-restricted': 'direct', symmetric: 'direct' },
    plexus: { invite: 'direct', accept: 'direct' },
    servers: [{ state: 'answered' }],
    change: null,
  });
});

test('doctor without an endpoint exits with the code of STUN_UNREACHABLE and says why, once', async () => {
  const { out, io } = collector();
  const bad = await refusing();
  expect(await runDoctor({ servers: [bad], bind: BIND, json: false }, io, NEVER)).toBe(74);
  expect(out.stdout).toContain(`127.0.0.1:${bad.port} refused: error 401 Unauthorized`);
  expect(out.stdout).toMatch(/To change: choose another server/);
  const json = collector();
  expect(await runDoctor({ servers: [bad], bind: BIND, json: true }, json.io, NEVER)).toBe(74);
  expect(JSON.parse(json.out.stdout)).toMatchObject({
    endpoint: null,
    prospects: null,
    code: 'STUN_UNREACHABLE',
  });
});

test('doctor tells a server of the other family apart from a dead one', async () => {
  const { out, io } = collector();
  const servers = [await server(), { host: '2001:db8::1', port: 3478 }];
  expect(await runDoctor({ servers, bind: BIND, json: false }, io, NEVER)).toBe(0);
  expect(out.stdout).toContain('[2001:db8::1]:3478 is an IPv6 address, the local bind is IPv4');
  expect(out.stdout).toMatch(/To change: replace \[2001:db8::1\]:3478/);
});

describe('each configured rendezvous', () => {
  const SETTINGS = { bind: BIND, log: silentLogger };

  test('is tried beside the NAT, and told in words', async () => {
    const { out, io } = collector();
    const net = await Testnet.start(1);
    opened.push({ close: () => net.down() });
    const folder = join(tempDir(), 'box');
    const rendezvous: RendezvousSettings[] = [
      { name: 'hyperdht', hyperdht: net.settings },
      { name: 'file', folder },
    ];
    const settings = { ...SETTINGS, servers: [await server()], rendezvous, json: false };
    expect(await runDoctor(settings, io, NEVER)).toBe(0);
    expect(out.stdout).toMatch(
      /^Public endpoint[\s\S]*\nRendezvous {7}hyperdht \(127\.0\.0\.1:\d+\): a node answers, after \d+ ms; a letter to myself came back after \d+ ms\n {17}file \(.*box\): the folder can be used, after \d+ ms\n$/,
    );
  });

  test('a mail server that lets us in, and one that does not: the gravest failure is the exit status', async () => {
    const { out, io } = collector();
    const imap = await FakeImap.start();
    const strict = await FakeImap.start({
      hook: (command, _line, tag) =>
        /LOGIN|AUTHENTICATE/.test(command) ? `${tag} NO [AUTHENTICATIONFAILED] wrong\r\n` : undefined,
    });
    const smtp = await FakeSmtp.start();
    const shut = await FakeSmtp.start({ refuses: true });
    opened.push(imap, strict, smtp, shut);
    const rendezvous = [
      imap.settings({ smtps: smtp.place }),
      strict.settings({ smtps: smtp.place }),
      imap.settings({ smtps: shut.place }),
    ].map((email) => ({ name: 'email' as const, email }));
    const settings = { ...SETTINGS, servers: [], rendezvous };
    expect(await runDoctor({ ...settings, json: true }, io, NEVER)).toBe(69);
    const { rendezvous: checks, ...rest } = JSON.parse(out.stdout);
    expect(rest).toEqual({});
    expect(checks).toMatchObject([
      {
        name: 'email',
        where: `localhost:${imap.settings().imaps.port}`,
        ok: true,
        sendingMs: expect.any(Number),
      },
      { ok: false, code: 'RENDEZVOUS_REFUSED', message: expect.any(String), hint: expect.any(String) },
      { ok: false, code: 'RENDEZVOUS_REFUSED', message: expect.stringContaining('logging in to send mail') },
    ]);
    expect(smtp.commands.filter((command) => command === 'MAIL')).toEqual([]);
    const both = { ...settings, servers: [await refusing()], json: false };
    const words = collector();
    expect(await runDoctor(both, words.io, NEVER)).toBe(74);
    expect(words.out.stdout).toMatch(
      /logged in to read mail, after \d+ ms; and to send it \(no mail was sent\), after \d+ ms/,
    );
    expect(words.out.stdout).toMatch(/RENDEZVOUS_REFUSED: .*\n {19}hint: /);
  });

  test('text of a server cannot begin a line of the report', () => {
    const text = checkText([
      {
        name: 'email',
        where: 'h',
        ok: false,
        ms: 1,
        code: 'RENDEZVOUS_REFUSED',
        message: 'a\nPublic endpoint  evil',
      },
    ]);
    expect(text.trimEnd().split('\n')).toHaveLength(1);
  });

  test('nothing configured: nothing is tried, above all no public node', async () => {
    const around = { env: { AWL_EMAIL_PASSWORD: 'p' }, config: 'app-id=a\nhost-info=a/b\ndht-port=5' };
    const configured = (argv: string[]) =>
      configuredRendezvous(valuesOf(['doctor', ...argv], around), around.env);
    expect(await configured(['--stun-server=s'])).toEqual({ rendezvous: [], warnings: [] });
    expect(await configured(['--rendezvous=hyperdht'])).toMatchObject({
      rendezvous: [{ name: 'hyperdht', hyperdht: { port: 5 } }],
    });
    expect(await configured(['--dht-bootstrap=h:4222'])).toMatchObject({ rendezvous: [{ name: 'opendht' }] });
  });
});

test('doctor without a server, on a taken port, or aborted throws what the command line prints', async () => {
  const { out, io } = collector();
  await expect(runDoctor({ servers: [], bind: BIND, json: false }, io, NEVER)).rejects.toMatchObject({
    code: 'USAGE_MISSING',
  });
  const taken = await UdpSocket.bind(BIND);
  opened.push(taken);
  const servers = [await server()];
  await expect(runDoctor({ servers, bind: taken.local, json: false }, io, NEVER)).rejects.toMatchObject({
    code: 'UDP_BIND',
  });
  const aborted = AbortSignal.abort(new Error('enough'));
  await expect(runDoctor({ servers, bind: BIND, json: false }, io, aborted)).rejects.toThrow('enough');
  expect(out.stdout).toBe('');
});

test('stun-server says once where it serves, serves, and ends with its signal', async () => {
  const { out, io } = collector();
  const controller = new AbortController();
  const args = { listen: ['127.0.0.1', '127.0.0.2'], port: 0, altPort: 0 };
  const running = runStunServer(args, io, controller.signal);
  while (out.stderr === '') await new Promise((resolve) => setTimeout(resolve, 1));
  expect(out.stderr).toMatch(/^STUN server ready on (127\.0\.0\.\d:\d+ ?){4}\n$/);
  const port = Number(/127\.0\.0\.1:(\d+)/.exec(out.stderr)?.[1]);
  const doctor = collector();
  expect(
    await runDoctor({ servers: [{ host: '127.0.0.1', port }], bind: BIND, json: true }, doctor.io, NEVER),
  ).toBe(0);
  controller.abort();
  expect(await running).toBe(0);
  opened.push(await UdpSocket.bind({ address: '127.0.0.1', port }));
});
