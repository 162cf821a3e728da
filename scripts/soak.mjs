#!/usr/bin/env node
// Moves data through a tunnel both ways at once over a bad path (1 % of all datagrams lost, 1 % doubled, 1 % out of
// order, each way) and compares every byte. With --cuts the path is replaced every second, and
// at each tenth of the data.
// Usage: npm run build && node scripts/soak.mjs [--mb 10000] [--cuts]
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

const HOST = '127.0.0.1';
const BAD = 0.01;
const LATE_MS = 3;

/** Passes datagrams on between two ports: what comes to one socket leaves by the other. */
async function relay(targets) {
  const sockets = targets.map(() =>
    createSocket({ type: 'udp4', recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 }),
  );
  for (const socket of sockets) {
    socket.on('error', () => {});
    socket.bind(0, HOST);
    await once(socket, 'listening');
  }
  const counts = { passed: 0, lost: 0, doubled: 0, late: 0 };
  let over = false;
  sockets.forEach((socket, side) => {
    const send = (data) => {
      if (!over) sockets[1 - side].send(data, targets[1 - side], HOST, () => {});
    };
    socket.on('message', (data) => {
      const dice = Math.random();
      counts.passed += 1;
      if (dice < BAD) counts.lost += 1;
      else if (dice < 2 * BAD) {
        counts.doubled += 1;
        send(data);
        send(data);
      } else if (dice < 3 * BAD) {
        counts.late += 1;
        setTimeout(send, LATE_MS, data);
      } else send(data);
    });
  });
  parentPort.postMessage({ ports: sockets.map((socket) => socket.address().port) });
  parentPort.on('message', () => {
    over = true;
    parentPort.postMessage({ counts });
    for (const socket of sockets) socket.close();
    parentPort.close();
  });
}

async function freePort() {
  const socket = createSocket('udp4');
  socket.bind(0, HOST);
  await once(socket, 'listening');
  const { port } = socket.address();
  await new Promise((done) => socket.close(done));
  return port;
}

async function soak() {
  const { values } = parseArgs({
    options: { mb: { type: 'string', default: '10000' }, cuts: { type: 'boolean', default: false } },
  });
  const total = Number(values.mb) * 1_000_000;
  const { openUdx } = await import('../dist/tunnel/udx.js');
  const { greet } = await import('../dist/tunnel/greeting.js');
  const { Tunnel } = await import('../dist/tunnel/tunnel.js');
  const { deriveTunnelKeys } = await import('../dist/wire/tunnel-keys.js');
  const log = { debug() {}, info() {}, warning() {}, error() {}, trace() {} };
  const sum = { passed: 0, lost: 0, doubled: 0, late: 0 };
  const workers = [];

  /** Both ends of a new path, greeted. */
  const path = async (resume) => {
    const local = [await freePort(), await freePort()];
    const worker = new Worker(new URL(import.meta.url), { workerData: local });
    workers.push(worker);
    const [{ ports }] = await once(worker, 'message');
    const key = randomBytes(32);
    const ends = ['invite', 'accept'].map(async (role, side) => {
      const carrier = await openUdx({
        local: { address: HOST, port: local[side] },
        peer: { address: HOST, port: ports[side] },
        keys: deriveTunnelKeys(key, role),
        release: async () => {},
      });
      return greet({ carrier, hello: { exports: [], ...(role === 'invite' && resume && { resume }) } });
    });
    return Promise.all(ends);
  };
  const left = async (worker) => {
    worker.postMessage('end');
    const [{ counts }] = await once(worker, 'message');
    for (const name of Object.keys(sum)) sum[name] += counts[name];
  };

  // A length that no record or window divides: a byte that is missing, doubled or moved shifts all that follow.
  const block = randomBytes(1_000_003);
  const twice = Buffer.concat([block, block]);
  let cuts = 0;
  const send = async (stream) => {
    for (let at = 0; at < total; ) {
      // Never two tenths ahead of the cuts: a fast machine would be done before a slow one made its second path.
      while (values.cuts && at > ((cuts + 2) * total) / 5) await new Promise((go) => setTimeout(go, 5));
      const from = at % block.length;
      const piece = twice.subarray(from, from + Math.min(65_536, total - at));
      at += piece.length;
      if (!stream.write(piece)) await once(stream, 'drain');
    }
    stream.end();
  };
  let moved = 0;
  const check = async (stream) => {
    let at = 0;
    // Its other direction may not be done yet.
    for await (const piece of stream.iterator({ destroyOnReturn: false })) {
      const from = at % block.length;
      if (!piece.equals(twice.subarray(from, from + piece.length))) throw new Error(`wrong bytes at ${at}`);
      at += piece.length;
      moved += piece.length;
    }
    if (at !== total) throw new Error(`${at} of ${total} bytes arrived`);
  };

  const begun = performance.now();
  const [a, b] = await path();
  let taken;
  const asked = new Promise((resolve) => {
    taken = resolve;
  });
  const options = { log, reconnectMs: 60_000 };
  const inviting = new Tunnel({ ...options, role: 'invite', onOpen: () => {} }, a);
  const accepting = new Tunnel(
    {
      ...options,
      role: 'accept',
      onOpen: (tunnel, id) => {
        const channel = tunnel.adopt(id);
        tunnel.mux.accept(id);
        taken(channel);
        return channel;
      },
    },
    b,
  );
  const here = inviting.connect('tcp:127.0.0.1:1');
  const work = Promise.all([
    send(here),
    check(here),
    asked.then((there) => Promise.all([send(there), check(there)])),
  ]);
  let over = false;
  const done = work.finally(() => {
    over = true;
  });
  const report = setInterval(() => {
    const rss = Math.round(process.memoryUsage.rss() / 1e6);
    process.stderr.write(`${(moved / 1e6).toFixed(0)} MB of ${(2 * total) / 1e6}, RSS ${rss} MB\n`);
  }, 10_000);
  while (values.cuts && !over) {
    const due = performance.now() + 1000;
    const part = moved + total / 5;
    while (!over && performance.now() < due && moved < part) await new Promise((go) => setTimeout(go, 5));
    if (over) break;
    const [x, y] = await path(inviting.token);
    await Promise.all([inviting.attach(x), accepting.attach(y)]);
    await left(workers.shift());
    cuts += 1;
  }
  await done;
  clearInterval(report);
  await inviting.close('done');
  await accepting.closed;
  for (const worker of workers) await left(worker);
  const seconds = (performance.now() - begun) / 1000;
  const result = { mb: moved / 1e6, seconds: Math.round(seconds * 10) / 10, cuts, ...sum, wrong: 0 };
  console.log(JSON.stringify({ ...result, rssMb: Math.round(process.memoryUsage.rss() / 1e6) }));
  process.exit(0);
}

if (isMainThread) await soak();
else await relay(workerData);
