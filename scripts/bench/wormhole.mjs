#!/usr/bin/env node
// Throughput and memory of two `awl wormhole` processes on loopback: one download of MB megabytes, RUNS times.
// usage: npm run build && node scripts/bench/wormhole.mjs [MB] [RUNS]
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MB = Number(process.argv[2] ?? 200);
const RUNS = Number(process.argv[3] ?? 3);
const HOST = '127.0.0.1';
const awl = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'dist/cli/main.js');

async function freePort() {
  const socket = createSocket('udp4').bind(0, HOST);
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}

function start(purpose, service, gateway, faraway) {
  const args = [
    'wormhole',
    `--purpose=${purpose}`,
    `--service=${HOST}:${service}`,
    `--gateway=${HOST}:${gateway}`,
    `--faraway=${HOST}:${faraway}`,
    '--obscure=81985529216486895',
  ];
  const child = spawn(process.execPath, [awl, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  const linked = new Promise((resolve, reject) => {
    let text = '';
    child.stderr.setEncoding('utf8').on('data', (piece) => {
      text += piece;
      if (text.includes('linked')) resolve();
    });
    child.once('exit', () => reject(new Error(text)));
  });
  return { child, linked };
}

/** Peak resident memory in MiB and processor seconds so far. */
function usage(pid) {
  const peak = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return { peak: Number(peak?.[1] ?? 0) / 1024, cpu: (Number(fields[11]) + Number(fields[12])) / 100 };
}

const chunk = Buffer.alloc(1024 * 1024, 'awl');
const service = createServer((socket) => {
  socket.on('error', () => {});
  let left = MB;
  const more = () => {
    while (left > 0) {
      left -= 1;
      if (!socket.write(chunk)) return;
    }
    socket.end();
  };
  socket.on('drain', more);
  socket.once('data', more);
}).listen(0, HOST);
await once(service, 'listening');

async function download(port) {
  const from = performance.now();
  const socket = connect(port, HOST);
  socket.write('GET');
  let bytes = 0;
  socket.on('data', (data) => {
    bytes += data.length;
  });
  await once(socket, 'end');
  if (bytes !== MB * chunk.length) throw new Error(`${bytes} bytes of ${MB * chunk.length} arrived`);
  return bytes / 1e6 / ((performance.now() - from) / 1000);
}

const [here, there, tcp] = [await freePort(), await freePort(), await freePort()];
const exporter = start('export', service.address().port, there, here);
const importer = start('import', tcp, here, there);
try {
  await Promise.all([exporter.linked, importer.linked]);
  const rates = [];
  for (let run = 0; run < RUNS; run++) rates.push(await download(tcp));
  rates.sort((a, b) => a - b);
  const direct = await download(service.address().port);
  const [out, back] = [usage(exporter.child.pid), usage(importer.child.pid)];
  const median = rates[Math.floor(rates.length / 2)];
  console.log(`${RUNS} downloads of ${MB} MiB through two awl wormhole processes on loopback`);
  console.log(
    `median ${median.toFixed(1)} MB/s (${(median * 8).toFixed(0)} Mbit/s), ` +
      `${rates[0].toFixed(1)} to ${rates.at(-1).toFixed(1)}; direct TCP ${direct.toFixed(0)} MB/s`,
  );
  console.log(`peak RSS: exporter ${out.peak.toFixed(0)} MiB, importer ${back.peak.toFixed(0)} MiB`);
  console.log(`CPU: exporter ${out.cpu.toFixed(1)} s, importer ${back.cpu.toFixed(1)} s`);
} finally {
  importer.child.kill('SIGTERM');
  await once(importer.child, 'exit');
  exporter.child.kill('SIGTERM');
  service.close();
}
