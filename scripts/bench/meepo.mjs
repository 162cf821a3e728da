// Two awl meepo nodes over a private redis-server on loopback: time to teleport, throughput up and down, one-byte echo,
// 200 connections at once, memory. `node scripts/bench/meepo.mjs [webrtc]`: with `webrtc` the nodes do as if the peer
// were a real Meepo. Needs `npm run build` and redis-server; prints one line a figure.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { silentLogger } from '../../dist/log.js';
import { MeepoNode } from '../../dist/meepo/node.js';
import { parseRedisUrl } from '../../dist/rendezvous/meepo/place.js';
import { meepoKeys } from '../../dist/wire/meepo/keys.js';

const MB = 1024 * 1024;
const BYTES = 32 * MB;
const ECHOES = 500;
const CROWD = 200;
const [mode = 'passage', role, ...rest] = process.argv.slice(2);

const node = (redis) =>
  new MeepoNode({
    keys: meepoKeys(),
    webrtc: { iceServers: [], onlyAddress: '127.0.0.1' },
    access: {},
    passages: mode !== 'webrtc',
    redis: parseRedisUrl(redis),
    log: silentLogger,
  });
const listen = async (handler) => {
  const server = createServer({ noDelay: true }, handler).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server.address().port;
};
const say = (name, value, unit) => console.log(`${mode.padEnd(8)} ${name.padEnd(34)} ${value} ${unit}`);

if (role === 'sink') {
  const drain = await listen((socket) => {
    let got = 0;
    socket.on('data', (data) => {
      got += data.length;
      if (got === BYTES) socket.write('!');
    });
    socket.on('error', () => {});
  });
  const source = await listen((socket) => {
    socket.on('error', () => {});
    const chunk = Buffer.alloc(65536, 1);
    let left = BYTES;
    const go = () => {
      while (left > 0) {
        left -= chunk.length;
        if (!socket.write(chunk)) return socket.once('drain', go);
      }
      return undefined;
    };
    go();
  });
  const echo = await listen((socket) => socket.on('error', () => {}).pipe(socket));
  const alice = node(rest[0]);
  process.send({ id: alice.id, drain, source, echo });
  process.on('message', () => process.send({ rss: process.memoryUsage.rss() }));
  process.on('disconnect', () => process.exit());
} else {
  const port = await listen(() => {}).then((free) => free + 1);
  const redis = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', ''], {
    stdio: 'ignore',
  });
  const url = `redis://127.0.0.1:${port}/1`;
  const sink = spawn(process.execPath, [process.argv[1], mode, 'sink', url], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  try {
    const [peer] = await once(sink, 'message');
    const bob = node(url);
    const at = async (remote) => {
      const { source } = await bob.teleport({ peer: peer.id, remote: `127.0.0.1:${remote}` });
      const [host, local] = source.address.split(':');
      return { host, port: Number(local) };
    };
    let begun = performance.now();
    const drain = await at(peer.drain);
    say('teleport, transport included', Math.round(performance.now() - begun), 'ms');
    const up = connect(drain.port, drain.host);
    begun = performance.now();
    const chunk = Buffer.alloc(65536, 1);
    for (let sent = 0; sent < BYTES; sent += chunk.length) if (!up.write(chunk)) await once(up, 'drain');
    await once(up, 'data');
    say('32 MB up', (BYTES / MB / ((performance.now() - begun) / 1000)).toFixed(1), 'MB/s');
    up.destroy();
    const source = await at(peer.source);
    const down = connect(source.port, source.host);
    begun = performance.now();
    let got = 0;
    for await (const data of down) {
      got += data.length;
      if (got >= BYTES) break;
    }
    say('32 MB down', (BYTES / MB / ((performance.now() - begun) / 1000)).toFixed(1), 'MB/s');
    const echo = await at(peer.echo);
    const one = connect({ ...echo, noDelay: true });
    const times = [];
    for (let i = 0; i < ECHOES; i++) {
      const start = performance.now();
      one.write('x');
      await once(one, 'data');
      times.push(performance.now() - start);
    }
    say('one-byte echo, median', times.sort((a, b) => a - b)[ECHOES / 2].toFixed(2), 'ms');
    begun = performance.now();
    const crowd = await Promise.all(
      Array.from({ length: CROWD }, async () => {
        const socket = connect(echo.port, echo.host);
        socket.on('error', (error) => console.error(String(error)));
        socket.write('hello');
        await once(socket, 'data');
        return socket;
      }),
    );
    say(`${CROWD} connections opened and answered`, Math.round(performance.now() - begun), 'ms');
    for (const socket of crowd) socket.destroy();
    begun = performance.now();
    await bob.ping(peer.id);
    say('ping right behind it', Math.round(performance.now() - begun), 'ms');
    sink.send('rss');
    const [{ rss }] = await once(sink, 'message');
    say(
      'memory of source and sink',
      `${Math.round(process.memoryUsage.rss() / MB)} and ${Math.round(rss / MB)}`,
      'MB',
    );
    await bob.close();
  } finally {
    redis.kill();
    sink.disconnect();
  }
  process.exit();
}
