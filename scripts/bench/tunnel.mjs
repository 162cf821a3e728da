#!/usr/bin/env node
// The built-in tunnel beside its rivals, all in the same run: iperf3 from a to b, an unlimited sender; the memory of
// both ends; the first byte of a new connection; what a UDP export adds. Needs root, ip, iperf3, cc.
// Usage: npm run build && node scripts/bench/tunnel.mjs [--profile veth,delay,loss,rate] [--rivals direct,awl,ssh,...]
//        [--seconds 3] [--rounds 3] [--times]
import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Bench, has, PROFILES, sleep, until } from './tunnel-paths.mjs';
import { ECHO, IPERF, RIVALS } from './tunnel-rivals.mjs';

const { values } = parseArgs({
  options: {
    profile: { type: 'string', default: Object.keys(PROFILES).join(',') },
    rivals: { type: 'string', default: Object.keys(RIVALS).join(',') },
    seconds: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '3' },
    times: { type: 'boolean', default: false },
  },
});
const median = (list) => [...list].sort((x, y) => x - y)[list.length >> 1];

function peakMb(...list) {
  return list.map(({ pid }) => {
    const status = existsSync(`/proc/${pid}/status`) ? readFileSync(`/proc/${pid}/status`, 'utf8') : '';
    return Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
  });
}

/** Seconds of processor time so far. */
function cpuSeconds(list) {
  return list.reduce((sum, { pid }) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
    return sum + (Number(fields[11]) + Number(fields[12])) / 100;
  }, 0);
}

/** Mbit/s that arrived, from a to b; 0 if it failed. */
async function iperf(bench, { host, port }) {
  const server = bench.start('b', 'iperf3', '-s', '-1', '--forceflush', '-p', String(IPERF));
  await until('iperf3', () => server.output.includes('listening'));
  const words = ['-J', '-c', host, '-p', String(port), '-t', values.seconds, '-O', '1'];
  const client = bench.start('a', 'iperf3', ...words);
  const limit = sleep(Number(values.seconds) * 1000 + 20_000);
  await Promise.race([client.ended, limit]);
  await bench.stop(server, client);
  try {
    return JSON.parse(client.output).end.sum_received.bits_per_second / 1e6;
  } catch {
    return 0;
  }
}

const SERVE = `
  require('node:dgram').createSocket('udp4').on('message', function (d, f) { this.send(d, f.port, f.address); }).bind(${ECHO});
  require('node:net').createServer((s) => s.on('error', () => {}).pipe(s)).listen(${ECHO}, () => console.log('ready'));`;
/**
 * Medians in ms: a datagram there and back, and a new connection until its first byte is back. The first half is left out:
 * Node compiles what it has run some hundred times.
 */
const TIMES = `
  const [host, port, udp] = process.argv.slice(1);
  const { createSocket } = require('node:dgram');
  const { connect } = require('node:net');
  const median = (list) => list.sort((a, b) => a - b)[list.length >> 1].toFixed(2);
  const socket = createSocket('udp4');
  const there = () => new Promise((resolve, reject) => {
    const from = performance.now();
    socket.once('message', () => resolve(performance.now() - from));
    socket.send('x', port, host);
    setTimeout(resolve, 1000, undefined).unref();
  });
  const first = () => new Promise((resolve) => {
    const from = performance.now();
    const stream = connect(port, host, () => stream.write('x'));
    stream.once('data', () => { resolve(performance.now() - from); stream.destroy(); });
  });
  (async () => {
    const [a, b] = [[], []];
    for (let i = 0; udp === 'true' && i < 2000 && performance.now() < 10_000; i++) a.push(await there());
    for (let i = 0; i < 60; i++) b.push(await first());
    const datagrams = a.slice(a.length >> 1).filter((ms) => ms !== undefined);
    console.log(JSON.stringify([datagrams.length > 0 ? median(datagrams) : '-', median(b.slice(10))]));
    process.exit();
  })();`;

async function times(bench, { host, echo, udp }) {
  if (echo === undefined) return ['-', '-'];
  const child = bench.start('a', process.execPath, '-e', TIMES, host, String(echo), String(udp === true));
  await Promise.race([child.ended, sleep(60_000)]);
  await bench.stop(child);
  try {
    return JSON.parse(child.output);
  } catch {
    return ['failed', 'failed'];
  }
}

async function measure(profile) {
  const bench = new Bench(profile);
  try {
    await bench.up();
    const paths = [];
    for (const id of values.rivals.split(',')) {
      const { name, needs, open } = RIVALS[id];
      try {
        const lacking = needs.filter((program) => !has(program));
        if (lacking.length > 0) throw new Error(`${lacking.join(', ')} missing`);
        paths.push({ id, name, rates: [], ...(await open(bench)) });
      } catch (error) {
        console.log(`${name}: left out: ${error.message}`);
      }
    }
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const path of paths) {
        const before = cpuSeconds(path.watched);
        path.rates.push(await iperf(bench, path));
        path.cpu = (path.cpu ?? 0) + cpuSeconds(path.watched) - before;
      }
    }
    if (values.times) {
      const serving = bench.start('b', process.execPath, '-e', SERVE);
      await until('the echo', () => serving.output.includes('ready'));
      for (const path of paths) path.times = await times(bench, path);
    }
    const own = paths.find(({ id }) => id === 'awl');
    const more = values.times ? ' UDP there and back, ms | first byte, ms |' : '';
    console.log(
      `\n### ${profile}\n\n| path | Mbit/s, median (min-max) | awl is times this | peak RSS, MiB | CPU, s/GB |${more}`,
    );
    console.log(`|---|---|---|---|---|${values.times ? '---|---|' : ''}`);
    for (const { name, rates, watched, cpu, times: ms } of paths) {
      // With the second that iperf3 leaves out of its rate.
      const gb = (rates.reduce((sum, rate) => sum + rate, 0) * (Number(values.seconds) + 1)) / 8000;
      const [low, high] = [Math.min(...rates), Math.max(...rates)].map((rate) => rate.toFixed(0));
      const ratio = own ? (median(own.rates) / median(rates)).toFixed(2) : '-';
      const cells = [
        name,
        `${median(rates).toFixed(0)} (${low}-${high})`,
        ratio,
        peakMb(...watched).join(' / '),
        watched.length > 0 ? (cpu / gb).toFixed(1) : '-',
      ];
      console.log(`| ${[...cells, ...(ms ?? [])].join(' | ')} |`);
    }
  } finally {
    await bench.down();
  }
}

for (const profile of values.profile.split(',')) await measure(profile);
