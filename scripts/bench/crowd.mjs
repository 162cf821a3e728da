// 100 invitations at once from 20 peers at one acceptor: each must be served or refused with a reason.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createIdentity, exportIdentity, trustIdentity } from '../../dist/identity/onboarding.js';
import { accept, invite, parseName } from '../../dist/index.js';
import { StunServer } from '../../dist/stun/server.js';

const PEERS = Number(process.argv[2] ?? 20);
const EACH = Number(process.argv[3] ?? 5);
const work = mkdtempSync(join(tmpdir(), 'awl-crowd-'));
const stun = await StunServer.start({ addresses: ['127.0.0.1'], port: 0, altPort: 0 });
const stop = new AbortController();
try {
  const hub = parseName('hub@example.org/one');
  const hubRepo = join(work, 'hub');
  await createIdentity(hubRepo, hub);
  const hubBundle = await exportIdentity(hubRepo, hub);
  const peers = [];
  for (let index = 0; index < PEERS; index++) {
    const name = parseName(`peer${index}@example.org/pc`);
    const repo = join(work, `peer${index}`);
    await createIdentity(repo, name);
    await trustIdentity(repo, hubBundle);
    await trustIdentity(hubRepo, await exportIdentity(repo, name));
    peers.push({ name, repo });
  }
  const common = {
    app: 'crowd',
    stun: [{ host: '127.0.0.1', port: stun.layout.port }],
    bind: { address: '127.0.0.1', port: 0 },
    rendezvous: { name: 'file', folder: join(work, 'letters') },
    allowLoopback: true,
  };
  const counts = { served: 0, refused: 0, failed: 0 };
  const reasons = new Map();
  let onListening;
  const listening = new Promise((done) => {
    onListening = done;
  });
  const onEvent = (event) => {
    if (event.event === 'listening') onListening();
    if (event.event === 'refused' || event.event === 'failed') {
      counts[event.event] += 1;
      reasons.set(event.message, (reasons.get(event.message) ?? 0) + 1);
    }
  };
  const accepting = (async () => {
    const settings = {
      ...common,
      repo: hubRepo,
      host: hub,
      peer: {},
      stateDir: join(work, 'state'),
      onEvent,
      signal: stop.signal,
    };
    for await (const passage of accept(settings)) {
      counts.served += 1;
      await passage.close();
    }
  })();
  await listening;

  const times = [];
  const outcomes = new Map();
  const begun = performance.now();
  await Promise.all(
    peers.flatMap(({ name, repo }, index) =>
      Array.from({ length: EACH }, async (_, copy) => {
        const from = performance.now();
        try {
          const passage = await invite({
            ...common,
            repo,
            host: name,
            peer: hub,
            stateDir: join(work, `s${index}-${copy}`),
            responseTimeoutMs: 15_000,
          });
          times.push(performance.now() - from);
          await passage.close();
          outcomes.set('passage', (outcomes.get('passage') ?? 0) + 1);
        } catch (error) {
          outcomes.set(error.code ?? error.message, (outcomes.get(error.code ?? error.message) ?? 0) + 1);
        }
      }),
    ),
  );
  const all = performance.now() - begun;
  // The acceptor's end of the last passage may come a little later.
  await new Promise((done) => setTimeout(done, 1000));
  stop.abort();
  await accepting;
  times.sort((a, b) => a - b);
  const at = (share) =>
    (times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN).toFixed(0);
  console.log(`${PEERS * EACH} invitations at once from ${PEERS} peers, ${(all / 1000).toFixed(1)} s in all`);
  console.log(`acceptor: ${counts.served} served, ${counts.refused} refused, ${counts.failed} failed`);
  for (const [reason, count] of reasons) console.log(`  ${count} x ${reason}`);
  console.log(`inviters: ${[...outcomes].map(([name, count]) => `${count} ${name}`).join(', ')}`);
  console.log(`start to passage: median ${at(0.5)} ms, p95 ${at(0.95)} ms`);
  const told = counts.served + counts.refused + counts.failed;
  if (told !== PEERS * EACH) {
    console.log(`${PEERS * EACH - told} invitations ended without a word`);
    process.exitCode = 1;
  }
} finally {
  stop.abort();
  await stun.close();
  rmSync(work, { recursive: true, force: true });
}
