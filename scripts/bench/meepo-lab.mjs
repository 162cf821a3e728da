// Two awl meepo daemons behind two port-restricted kernel NATs: how long `awl meepo teleport` on a running node takes
// to "Teleport SUCCESS", the process of the command line included. `node scripts/bench/meepo-lab.mjs [redis|hyperdht]
// [--rounds 5] [--log]`: Redis in the public network, or nodes of an own HyperDHT and no server. Each round makes the
// path anew; the first one is between daemons that never met. Needs root, `npm run build`, redis-server.
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { median, root, rssOf, SERVER, sleep, withLab } from './lab.mjs';

const { values, positionals } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, log: { type: 'boolean' } },
  allowPositionals: true,
});
const way = positionals[0] ?? 'redis';
const main = join(root, 'dist/cli/main.js');
const DHT_PORT = 49_737;

await withLab(async (lab) => {
  const url = way === 'redis' ? `redis://${SERVER}:6379/1` : `hyperdht://${SERVER}:${DHT_PORT}`;
  if (way === 'redis')
    lab.start('s', 'redis-server', '--bind', SERVER, '--save', '', '--protected-mode', 'no');
  else lab.awl('s', 'dht-node', `--listen=${SERVER}`);
  const folder = (role) => join(lab.folder, `meepo-${role}`);
  const command = (role, ...args) => [
    'netns',
    'exec',
    lab.ns(role),
    'env',
    `AWL_MEEPO_DIR=${folder(role)}`,
    process.execPath,
    main,
    'meepo',
    ...args,
  ];
  /** Runs one command to its end: what it said, and after how many ms it said the first word. */
  const meepo = (role, ...args) =>
    new Promise((resolve) => {
      const begun = performance.now();
      const child = spawn('ip', command(role, ...args), { stdio: ['ignore', 'pipe', 'pipe'] });
      let [out, ms] = ['', 0];
      for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (data) => {
          ms ||= performance.now() - begun;
          out += data;
        });
      }
      child.once('close', (status) => resolve({ status, out, ms }));
    });
  const nodes = {};
  for (const role of ['a', 'b']) {
    mkdirSync(folder(role), { mode: 0o700 });
    const key = join(folder(role), 'meepo.pem');
    await meepo(role, 'keygen', '-f', key);
    const config = {
      identityFile: key,
      daemon: false,
      log: { level: 'debug' },
      proxy: { socks5: null },
      transport: { name: 'webrtc', iceServers: [`stun:${SERVER}:3478`] },
      signaling: { name: 'redis', url },
    };
    writeFileSync(join(folder(role), 'config.yaml'), JSON.stringify({ meepo: config }));
    nodes[role] = lab.start(role, ...command(role, 'serve').slice(3));
  }
  for (const role of ['a', 'b']) {
    for (let i = 0; i < 200 && !nodes[role].log.includes('signaling over'); i++) await sleep(50);
  }
  // What a daemon that has just started does beside: it measures its NAT, and loads what it may need.
  await sleep(2_500);
  const peer = (await meepo('b', 'whoami')).out.trim();
  const plain = [];
  for (let i = 0; i < 3; i++) plain.push((await meepo('a', 'version')).ms);
  console.log(`command line and daemon alone (version)   ${Math.round(median(plain))} ms`);
  const again = [];
  for (let i = 0; i < Number(values.rounds); i++) {
    const { out, ms } = await meepo('a', 'teleport', peer, '127.0.0.1:80');
    if (!out.startsWith('Teleport SUCCESS')) throw new Error(`${out}\n${nodes.a.log}\n${nodes.b.log}`);
    if (i === 0) console.log(`${way}: teleport, nodes that never met       ${Math.round(ms)} ms`);
    else again.push(ms);
    await meepo('a', 'transport', 'close', peer);
    await sleep(500);
  }
  if (again.length > 0)
    console.log(`${way}: teleport over a new path, median     ${Math.round(median(again))} ms`);
  const rss = ['a', 'b'].map((role) => Math.round(rssOf(nodes[role].child.pid)));
  console.log(`memory of source and sink                 ${rss.join(' and ')} MB`);
  if (values.log) console.log(`--- a\n${nodes.a.log}\n--- b\n${nodes.b.log}`);
  for (const role of ['a', 'b']) await meepo(role, 'shutdown');
});
