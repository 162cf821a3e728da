// Many invitations at once at one acceptor, which runs in a process of its own: each must be served or refused with a
// reason. crowd.mjs [PEERS] [EACH] [IDENTITIES] [file|hyperdht]: so many peers invite so often each, out of so many
// identities in the acceptor's repository.
import { fork } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createIdentity, exportIdentity, trustIdentity } from '../../dist/identity/onboarding.js';
import { accept, invite, LinkPool, parseName } from '../../dist/index.js';
import { startBootstrapNode } from '../../dist/rendezvous/hyperdht/node.js';
import { StunServer } from '../../dist/stun/server.js';

const hub = parseName('hub@example.org/one');
const MADE_AT_ONCE = 4;

async function runAcceptor(settings) {
  const stop = new AbortController();
  process.once('message', () => stop.abort());
  const onEvent = (event) => process.send(event);
  for await (const passage of accept({ ...settings, onEvent, signal: stop.signal })) {
    await passage.close();
    process.send({ event: 'served' });
  }
  const rss = Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;
  process.send({ event: 'over', rss }, () => process.disconnect());
}

async function freePort() {
  const socket = createSocket('udp4');
  await new Promise((done) => socket.bind(0, '127.0.0.1', done));
  const { port } = socket.address();
  await new Promise((done) => socket.close(done));
  return port;
}

async function makeIdentities(work, count, inviting) {
  const hubRepo = join(work, 'hub');
  await createIdentity(hubRepo, hub);
  const hubBundle = await exportIdentity(hubRepo, hub);
  const peers = [];
  const bundles = [];
  const make = async (index) => {
    const name = parseName(`peer${index}@example.org/pc`);
    const repo = join(work, `peer${index}`);
    await createIdentity(repo, name);
    if (index < inviting) {
      await trustIdentity(repo, hubBundle);
      peers.push({ name, repo });
    }
    bundles.push(await exportIdentity(repo, name));
  };
  for (let first = 0; first < count; first += MADE_AT_ONCE) {
    const some = Math.min(MADE_AT_ONCE, count - first);
    await Promise.all(Array.from({ length: some }, (_, index) => make(first + index)));
  }
  for (const bundle of bundles) await trustIdentity(hubRepo, bundle);
  return { hubRepo, peers };
}

async function bench(count, each, identities, which) {
  const work = mkdtempSync(join(tmpdir(), 'awl-crowd-'));
  const stun = await StunServer.start({ addresses: ['127.0.0.1'], port: 0, altPort: 0 });
  const nodes = [];
  let child;
  try {
    const { hubRepo, peers } = await makeIdentities(work, identities, count);
    let rendezvous = { name: 'file', folder: join(work, 'letters') };
    if (which === 'hyperdht') {
      const port = await freePort();
      const bootstrap = [{ host: '127.0.0.1', port }];
      nodes.push(await startBootstrapNode({ host: '127.0.0.1', port }));
      for (let more = 0; more < 2; more++) {
        nodes.push(await startBootstrapNode({ host: '127.0.0.1', port: await freePort(), bootstrap }));
      }
      rendezvous = { name: 'hyperdht', hyperdht: { bootstrap } };
    }
    const common = {
      app: 'crowd',
      stun: [{ host: '127.0.0.1', port: stun.layout.port }],
      bind: { address: '127.0.0.1', port: 0 },
      rendezvous,
      allowLoopback: true,
    };
    const counts = { served: 0, refused: 0, failed: 0 };
    const reasons = new Map();
    let rss = 0;
    let onListening;
    let onOver;
    const listening = new Promise((done) => {
      onListening = done;
    });
    const over = new Promise((done) => {
      onOver = done;
    });
    child = fork(new URL(import.meta.url).pathname, ['acceptor']);
    child.on('message', (event) => {
      if (event.event === 'listening') onListening();
      if (event.event in counts) counts[event.event] += 1;
      if (event.event === 'over') {
        rss = event.rss;
        onOver();
      }
      if (event.message) reasons.set(event.message, (reasons.get(event.message) ?? 0) + 1);
    });
    child.send({ ...common, repo: hubRepo, host: hub, peer: {}, stateDir: join(work, 'state') });
    await listening;

    const times = [];
    const outcomes = new Map();
    const pool = new LinkPool();
    const begun = performance.now();
    const one = async ({ name, repo }, stateDir) => {
      const from = performance.now();
      try {
        const settings = {
          ...common,
          repo,
          host: name,
          peer: hub,
          stateDir,
          pool,
          responseTimeoutMs: 15_000,
        };
        const passage = await invite(settings);
        times.push(performance.now() - from);
        await passage.close();
        return 'passage';
      } catch (error) {
        return error.code ?? error.message;
      }
    };
    await Promise.all(
      peers.flatMap((peer, index) =>
        Array.from({ length: each }, async (_, copy) => {
          const outcome = await one(peer, join(work, `s${index}-${copy}`));
          outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        }),
      ),
    );
    const all = performance.now() - begun;
    // The acceptor's end of the last passage may come a little later.
    await new Promise((done) => setTimeout(done, 1000));
    child.send('end');
    await over;
    times.sort((a, b) => a - b);
    const at = (share) =>
      (times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN).toFixed(0);
    console.log(
      `${count * each} invitations at once from ${count} of ${identities} identities over ${which}, ${(all / 1000).toFixed(1)} s in all`,
    );
    console.log(
      `acceptor: ${counts.served} served, ${counts.refused} refused, ${counts.failed} failed, at most ${rss.toFixed(0)} MB`,
    );
    for (const [reason, times] of reasons) console.log(`  ${times} x ${reason}`);
    console.log(`inviters: ${[...outcomes].map(([name, number]) => `${number} ${name}`).join(', ')}`);
    console.log(`start to passage: median ${at(0.5)} ms, p95 ${at(0.95)} ms`);
    const told = counts.served + counts.refused + counts.failed;
    if (told !== count * each) {
      console.log(`${count * each - told} invitations ended without a word`);
      process.exitCode = 1;
    }
  } finally {
    child?.kill();
    await stun.close();
    await Promise.all(nodes.map((node) => node.close()));
    rmSync(work, { recursive: true, force: true });
  }
}

if (process.argv[2] === 'acceptor') process.once('message', (settings) => void runAcceptor(settings));
else {
  const [peers = 20, each = 5, identities = 0] = process.argv.slice(2, 5).map(Number);
  await bench(peers, each, Math.max(peers, identities), process.argv[5] ?? 'file');
}
