// What carries a TCP connection from a to b: each opens its path and says where in a to connect to.
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { IP, sh, until } from './tunnel-paths.mjs';

const ROOT = dirname(dirname(import.meta.dirname));
const AWL = join(ROOT, 'dist/cli/main.js');
/** What the services in b listen on: iperf3, and an echo over TCP and UDP. */
export const IPERF = 5201;
export const ECHO = 5300;

async function awl(bench, ...more) {
  const { createIdentity, exportIdentity, trustIdentity } = await import(
    join(ROOT, 'dist/identity/onboarding.js')
  );
  const { parseName } = await import(join(ROOT, 'dist/identity/names.js'));
  const udp = more.includes('--udp-only');
  const at = (name) => join(bench.folder, udp ? 'udp' : 'tcp', name);
  const [iperf, echo] = udp ? [6201, 6300] : [6202, 6301];
  const names = { a: parseName('a@bench.test/a'), b: parseName('b@bench.test/b') };
  for (const side of ['a', 'b']) await createIdentity(at(side), names[side]);
  await trustIdentity(at('a'), await exportIdentity(at('b'), names.b));
  await trustIdentity(at('b'), await exportIdentity(at('a'), names.a));
  mkdirSync(at('meet'), { recursive: true });
  const stun = bench.start('b', process.execPath, AWL, 'stun-server', `--listen=${IP.b}`);
  const side = (own, other, ...flags) =>
    bench.start(
      own,
      process.execPath,
      AWL,
      '--json',
      '--app-id=bench',
      `--app-repo=${at(own)}`,
      `--host-info=${own}@bench.test/${own}`,
      `--peer-info=${other}@bench.test/${other}`,
      `--stun-server=${IP.b}`,
      '--rendezvous=file',
      `--file-dir=${at('meet')}`,
      `--state-dir=${at(`state-${own}`)}`,
      '--allow-private',
      ...more,
      ...flags,
    );
  const b = side('b', 'a', '--accept', '--once', `--export=${IPERF},${ECHO},udp:${ECHO}`);
  await until('accepting', () => b.output.includes('"listening"'));
  const a = side('a', 'b', `--import=${iperf}:${IPERF},${echo}:${ECHO},udp:${echo}:${ECHO}`);
  const stands = udp ? '"tunnel-open"' : '"moved"';
  await until('the tunnel', () => a.output.includes(stands));
  return { host: '127.0.0.1', port: iperf, echo, udp: true, watched: [a, b], children: [a, b, stun] };
}

async function ssh(bench) {
  const at = (name) => join(bench.folder, name);
  if (!existsSync('/run/sshd')) mkdirSync('/run/sshd');
  for (const key of ['host', 'user']) sh('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', at(key));
  writeFileSync(
    at('sshd_config'),
    `HostKey ${at('host')}\nAuthorizedKeysFile ${at('user.pub')}\nPort 2222\nListenAddress ${IP.b}\nPidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\n`,
  );
  const server = bench.start('b', '/usr/sbin/sshd', '-D', '-e', '-f', at('sshd_config'));
  await until('sshd', () => server.output.includes('listening'));
  const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'BatchMode=yes'];
  const words = ['-F', 'none', '-N', '-v', '-p', '2222', '-i', at('user')];
  for (const option of options) words.push('-o', option);
  for (const [local, port] of [
    [7201, IPERF],
    [7300, ECHO],
  ]) {
    words.push('-L', `${local}:127.0.0.1:${port}`);
  }
  const client = bench.start('a', 'ssh', ...words, `root@${IP.b}`);
  await until('ssh -L', () => client.output.includes('Entering interactive session'));
  return { host: '127.0.0.1', port: 7201, echo: 7300, watched: [client, server], children: [client, server] };
}

async function openvpn(bench) {
  const at = (name) => join(bench.folder, name);
  for (const side of ['a', 'b']) {
    const key = [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      at(`${side}.key`),
    ];
    const cert = ['-days', '2', '-subj', `/CN=${side}`, '-out', at(`${side}.crt`)];
    sh('openssl', 'req', '-x509', ...key, ...cert);
  }
  const side = (own, other, inner, ...more) => {
    const path = ['--proto', 'udp', '--local', IP[own], '--remote', IP[other], '--port', '1194'];
    const files = ['--ca', at(`${other}.crt`), '--cert', at(`${own}.crt`), '--key', at(`${own}.key`)];
    const ciphers = ['--data-ciphers', 'AES-256-GCM', '--cipher', 'AES-256-GCM'];
    const words = ['--dev', 'tun', '--ifconfig', ...inner, '--verb', '3'];
    return bench.start(own, 'openvpn', ...words, ...path, ...files, ...ciphers, ...more);
  };
  const b = side('b', 'a', ['10.98.0.2', '10.98.0.1'], '--tls-server', '--dh', 'none');
  const a = side('a', 'b', ['10.98.0.1', '10.98.0.2'], '--tls-client');
  const ready = ({ output }) => output.includes('Initialization Sequence Completed');
  await until('openvpn', () => ready(a) && ready(b));
  return { host: '10.98.0.2', port: IPERF, echo: ECHO, udp: true, watched: [a, b], children: [a, b] };
}

async function wireguard(bench) {
  const keys = {};
  for (const side of ['a', 'b']) {
    const file = join(bench.folder, `wg-${side}`);
    writeFileSync(file, sh('wg', 'genkey'), { mode: 0o600 });
    keys[side] = { file, public: sh('sh', '-c', `wg pubkey < ${file}`).trim() };
  }
  // Its control socket is named after the device, and namespaces share the file system.
  const devices = { a: `wa${process.pid}`, b: `wb${process.pid}` };
  const children = [];
  for (const [side, other, n] of [
    ['a', 'b', 1],
    ['b', 'a', 2],
  ]) {
    const device = devices[side];
    children.push(bench.start(side, 'wireguard-go', '-f', device));
    await until('wireguard-go', () => existsSync(`/var/run/wireguard/${device}.sock`));
    const peer = [
      'peer',
      keys[other].public,
      'allowed-ips',
      '10.97.0.0/24',
      'endpoint',
      `${IP[other]}:51820`,
    ];
    bench.run(side, 'wg', 'set', device, 'listen-port', '51820', 'private-key', keys[side].file, ...peer);
    bench.run(side, 'ip', 'addr', 'add', `10.97.0.${n}/24`, 'dev', device);
    bench.run(side, 'ip', 'link', 'set', device, 'mtu', '1420', 'up');
  }
  bench.run('a', 'ping', '-c', '1', '-W', '3', '10.97.0.2');
  return { host: '10.97.0.2', port: IPERF, echo: ECHO, udp: true, watched: children, children };
}

/** From npm into the bench's folder, with a DHT of its own in b instead of the public one. */
async function hypertele(bench) {
  const at = (...names) => join(bench.folder, 'hypertele', ...names);
  mkdirSync(at());
  writeFileSync(at('package.json'), '{}');
  sh('npm', 'install', '--no-fund', '--no-audit', '--prefix', at(), 'hypertele@1.1.4');
  const package_ = at('node_modules', 'hypertele');
  for (const name of ['client', 'server']) {
    const file = join(package_, `${name}.js`);
    copyFileSync(file, `${file}.orig`);
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace("[{ host: '127.0.0.1', port", `[{ host: '${IP.b}', port`));
  }
  const testnet = `
    const HyperDHT = require('${at('node_modules', 'hyperdht')}');
    (async () => {
      const first = HyperDHT.bootstrapper(49737, '${IP.b}');
      await first.ready();
      for (let i = 0; i < 4; i++) {
        const node = new HyperDHT({ bootstrap: [{ host: '${IP.b}', port: 49737 }], ephemeral: false, firewalled: false, host: '${IP.b}' });
        await node.ready();
      }
      console.log('ready');
    })();`;
  const net = bench.start('b', process.execPath, '-e', testnet);
  await until('the DHT', () => net.output.includes('ready'));
  const seed = 'ab'.repeat(32);
  const server = bench.start(
    'b',
    process.execPath,
    join(package_, 'server.js'),
    '-l',
    String(IPERF),
    '--seed',
    seed,
    '--bootstrap',
    '49737',
  );
  await until('hypertele-server', () => /[0-9a-f]{64}/.test(server.output.replace(seed, '')));
  const [key] = /[0-9a-f]{64}/.exec(server.output.replace(seed, ''));
  const client = bench.start(
    'a',
    process.execPath,
    join(package_, 'client.js'),
    '-p',
    '8201',
    '-s',
    key,
    '--bootstrap',
    '49737',
  );
  await until('hypertele', () => client.output.includes('Server ready'));
  return { host: '127.0.0.1', port: 8201, watched: [client, server], children: [client, server, net] };
}

export const RIVALS = {
  direct: {
    name: 'direct TCP',
    needs: [],
    open: async () => ({ host: IP.b, port: IPERF, echo: ECHO, udp: true, watched: [], children: [] }),
  },
  awl: { name: 'awl tunnel, UDP', needs: [], open: (bench) => awl(bench, '--udp-only') },
  'awl-tcp': { name: 'awl tunnel, TCP', needs: [], open: awl },
  ssh: { name: 'ssh -L', needs: ['sshd', 'ssh'], open: ssh },
  openvpn: { name: 'OpenVPN, UDP, AES-256-GCM', needs: ['openvpn'], open: openvpn },
  wireguard: { name: 'wireguard-go', needs: ['wireguard-go', 'wg'], open: wireguard },
  hypertele: { name: 'hypertele', needs: ['npm'], open: hypertele },
};
