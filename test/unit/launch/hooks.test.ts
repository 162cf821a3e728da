import { spawnSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const OPENVPN = fileURLToPath(new URL('../../../scripts/exec-openvpn.sh', import.meta.url));
const WIREGUARD = fileURLToPath(new URL('../../../scripts/exec-wireguard.sh', import.meta.url));
const ARGS = ['192.168.1.2', '5001', '198.51.100.1', '40001', '203.0.113.2', '40002'];

/** Stand-ins that write down what they were given; the real programs are used in test/netns. */
const STUBS: Readonly<Record<string, string>> = {
  openvpn: `printf '%s\\n' "$@" "secret=\${AWL_SECRET-none}" "key=\${AWL_SESSION_KEY-none}"`,
  ip: `echo "ip $*" >>"$OUT"; [ "$1 $2" != "link show" ]`,
  wg: `case "$1 \${3-}" in pubkey*) sed s/^/PUB/ ;; setconf*) cat >"$OUT.conf" ;; *handshakes) printf 'key\\t1\\n' ;; esac`,
  sleep: 'exit 0',
};

let dir = '';
let cert = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'awl-hooks-'));
  await mkdir(join(dir, 'bin'));
  for (const [name, body] of Object.entries(STUBS)) {
    await writeFile(join(dir, 'bin', name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  }
  cert = fileURLToPath(new URL('../../fixtures/hook-peer.crt', import.meta.url));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

function run(script: string, args: readonly string[], env: Record<string, string> = {}) {
  const files = { AWL_HOST_CERT: cert, AWL_HOST_KEY: cert, AWL_PEER_CERT: cert };
  return spawnSync(script, args, {
    encoding: 'utf8',
    timeout: 10_000,
    env: {
      PATH: `${join(dir, 'bin')}:/usr/bin:/bin`,
      OUT: join(dir, 'out'),
      AWL_ROLE: 'accept',
      ...files,
      ...env,
    },
  });
}

describe.each([
  ['exec-openvpn.sh', OPENVPN],
  ['exec-wireguard.sh', WIREGUARD],
])('%s refuses, naming it', (_name, script) => {
  const wrong = (index: number, value: string) => ARGS.map((arg, i) => (i === index ? value : arg));

  test.each<[string, string[], RegExp]>([
    ['no arguments', [], /usage: /],
    ['too many arguments', [...ARGS, '1', '2'], /usage: /],
    ['an address that is an option', wrong(4, '--up'), /PEERIP "--up"/],
    ['an address that is a command', wrong(0, '$(id)'), /INNERIP "\$\(id\)"/],
    ['an empty address', wrong(4, ''), /PEERIP ""/],
    ['port 0', wrong(1, '0'), /INNERPORT "0"/],
    ['a port too high', wrong(5, '65536'), /PEERPORT "65536"/],
    ['a port with a newline', wrong(5, '1\n2'), /PEERPORT/],
  ])('%s', (_what, args, message) => {
    const result = run(script, args);
    expect(result.stderr).toMatch(message);
    expect(result.status).toBe(64);
  });

  test('an unknown role', () => {
    const result = run(script, ARGS, { AWL_ROLE: 'other' });
    expect(result.stderr).toMatch(/AWL_ROLE must be accept or invite/);
    expect(result.status).toBe(78);
  });

  test('a tunnel address that is none', () => {
    expect(run(script, ARGS, { AWL_TUN_LOCAL: '10.0.0.1 dev lo' }).stderr).toMatch(
      /AWL_TUN_LOCAL "10.0.0.1 dev lo"/,
    );
  });
});

describe('exec-openvpn.sh', () => {
  test('hands openvpn the endpoints, the role and the fingerprint of the pinned certificate', async () => {
    const lines = run(OPENVPN, [...ARGS, '42'], { AWL_SECRET: '42', AWL_SESSION_KEY: 'ab' })
      .stdout.trim()
      .split('\n');
    const valuesOf = (flag: string, count = 1) =>
      lines.slice(lines.indexOf(flag) + 1, lines.indexOf(flag) + 1 + count);
    expect(valuesOf('--lport')).toEqual(['5001']);
    expect(valuesOf('--local')).toEqual(['192.168.1.2']);
    expect(valuesOf('--remote', 2)).toEqual(['203.0.113.2', '40002']);
    expect(valuesOf('--proto')).toEqual(['udp4']);
    expect(valuesOf('--ifconfig', 2)).toEqual(['10.77.0.1', '10.77.0.2']);
    expect(lines).toContain('--tls-server');
    expect(valuesOf('--peer-fingerprint')).toEqual([
      new X509Certificate(await readFile(cert)).fingerprint256,
    ]);
    expect(lines.slice(-2)).toEqual(['secret=none', 'key=none']);
  });

  test('the inviting side is the TLS client, over IPv6 if the peer is there', () => {
    const args = ['::', '5001', '2001:db8::1', '1', '2001:db8::2', '40002'];
    const lines = run(OPENVPN, args, { AWL_ROLE: 'invite' }).stdout.split('\n');
    expect(lines).toContain('--tls-client');
    expect(lines).toContain('udp6');
    expect(lines).not.toContain('--local');
  });

  test('a certificate that is not there is named', () => {
    expect(run(OPENVPN, ARGS, { AWL_PEER_CERT: '/no/such.crt' }).stderr).toMatch(
      /AWL_PEER_CERT names "\/no\/such.crt"/,
    );
    expect(run(OPENVPN, ARGS, { AWL_HOST_KEY: '' }).stderr).toMatch(/AWL_HOST_KEY is not set/);
  });
});

describe('exec-wireguard.sh', () => {
  const sessionKey = createHash('sha256').update('some session').digest('hex');
  const derived = (label: string) =>
    createHash('sha256').update(`awl wireguard 1 ${label} ${sessionKey}`).digest('base64');

  test('both sides compute the same three keys from the session key, each the private one of its role', async () => {
    for (const [role, other] of [
      ['accept', 'invite'],
      ['invite', 'accept'],
    ] as const) {
      await rm(join(dir, 'out'), { force: true });
      const result = run(WIREGUARD, ARGS, { AWL_ROLE: role, AWL_SESSION_KEY: sessionKey });
      expect((await readFile(join(dir, 'out.conf'), 'utf8')).trim().split('\n')).toEqual([
        '[Interface]',
        `PrivateKey = ${derived(role)}`,
        'ListenPort = 5001',
        '[Peer]',
        `PublicKey = PUB${derived(other)}`,
        `AllowedIPs = 10.78.0.${role === 'accept' ? 2 : 1}/32`,
        'Endpoint = 203.0.113.2:40002',
        'PersistentKeepalive = 15',
        `PresharedKey = ${derived('preshared')}`,
      ]);
      expect(result.stderr).toMatch(/the peer has been silent for 185 s/);
      expect(result.status).toBe(75);
      const calls = (await readFile(join(dir, 'out'), 'utf8')).trim().split('\n');
      expect(calls).toContain('ip link add dev awl5001 type wireguard');
      expect(calls.at(-1)).toBe('ip link del dev awl5001');
    }
  });

  test('more networks become routes, the peer’s address does not', async () => {
    await rm(join(dir, 'out'), { force: true });
    const env = {
      AWL_SESSION_KEY: sessionKey,
      AWL_WG_ALLOWED_IPS: '10.78.0.2/32, 192.168.7.0/24,10.8.0.0/16',
    };
    run(WIREGUARD, ARGS, env);
    const calls = (await readFile(join(dir, 'out'), 'utf8'))
      .split('\n')
      .filter((line) => line.startsWith('ip route'));
    expect(calls).toEqual([
      'ip route add 192.168.7.0/24 dev awl5001',
      'ip route add 10.8.0.0/16 dev awl5001',
    ]);
  });

  test.each([
    [{}, /the peer is no awl.*AWL_WG_PRIVATE_KEY_FILE/],
    [{ AWL_SESSION_KEY: 'zz'.repeat(32) }, /not 64 hex digits/],
    [{ AWL_SESSION_KEY: 'ab' }, /not 64 hex digits/],
    [{ AWL_WG_PRIVATE_KEY_FILE: '/no/key' }, /AWL_WG_PRIVATE_KEY_FILE names "\/no\/key"/],
    [{ AWL_TUN_DEV: 'a b' }, /AWL_TUN_DEV "a b"/],
    [{ AWL_TUN_DEV: 'sixteen-chars-xx' }, /at most 15/],
    [{ AWL_WG_ALLOWED_IPS: '10.0.0.0/8\nPrivateKey = x' }, /AWL_WG_ALLOWED_IPS/],
    [{ AWL_WG_SILENCE: 'soon' }, /AWL_WG_SILENCE "soon"/],
  ])('%j is an error that says what to do', (env, message) => {
    const result = run(WIREGUARD, ARGS, env);
    expect(result.stderr).toMatch(message);
    expect([64, 78]).toContain(result.status);
    expect(result.stderr).not.toContain('zzzz');
  });
});
