import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { silentLogger } from '../../src/log.js';
import { TUBUS_LIMITS, type TubusLimits } from '../../src/tunnel/tubus/limits.js';
import { runWormhole } from '../../src/tunnel/wormhole/run.js';
import type { Endpoint } from '../../src/util/endpoint.js';
import { UdpSocket } from '../../src/util/udp.js';
import { randomFrom } from './tubus-link.js';

export const HOST = '127.0.0.1';

/** A TCP service for one test; `close` ends its connections too. */
export async function tcpService(serve: (socket: Socket) => void, allowHalfOpen = false) {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    serve(socket);
  });
  server.listen(0, HOST, 2048);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

export async function freeUdpPort(): Promise<number> {
  const socket = await UdpSocket.bind({ address: HOST, port: 0 });
  await socket.close();
  return socket.local.port;
}

/** A relay that loses, doubles and reorders datagrams between two parties that each know only the relay. */
export async function badPath(loss: number, duplication: number, reorder: number, seed: number) {
  const random = randomFrom(seed);
  const sides = await Promise.all([0, 1].map(() => UdpSocket.bind({ address: HOST, port: 0 })));
  const [a, b] = sides as [UdpSocket, UdpSocket];
  const parties: { a?: Endpoint; b?: Endpoint } = {};
  const timers = new Set<NodeJS.Timeout>();
  const carry = (through: UdpSocket, to: Endpoint | undefined, data: Buffer) => {
    if (!to || random() < loss) return;
    const copies = random() < duplication ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (random() >= reorder) void through.send(data, to);
      else {
        const timer = setTimeout(() => {
          timers.delete(timer);
          void through.send(data, to);
        }, 3);
        timers.add(timer);
      }
    }
  };
  a.subscribe((data) => carry(b, parties.b, data));
  b.subscribe((data) => carry(a, parties.a, data));
  return {
    a: a.local,
    b: b.local,
    parties,
    async close() {
      for (const timer of timers) clearTimeout(timer);
      await Promise.all([a.close(), b.close()]);
    },
  };
}

export interface WormholePairOptions {
  readonly path?: { loss: number; duplication: number; reorder: number; seed: number };
  readonly limits?: Partial<TubusLimits>;
}

/** Two wormholes in this process in front of a TCP service; `port` is where its clients connect. */
export async function wormholePair(servicePort: number, options: WormholePairOptions = {}) {
  const [inPort, outPort] = [await freeUdpPort(), await freeUdpPort()];
  const [inner, outer] = [inPort, outPort].map((port) => ({ address: HOST, port })) as [Endpoint, Endpoint];
  const { path: manners } = options;
  const path = manners
    ? await badPath(manners.loss, manners.duplication, manners.reorder, manners.seed)
    : undefined;
  if (path) Object.assign(path.parties, { a: inner, b: outer });
  const stop = { import: new AbortController(), export: new AbortController() };
  const common = { secret: 3n, limits: { ...TUBUS_LIMITS, ...options.limits }, log: silentLogger };
  let importerReady: (port: number | undefined) => void = () => {};
  const ready = new Promise<number>((resolve) => {
    importerReady = (port) => resolve(port ?? 0);
  });
  const exporting = runWormhole({
    ...common,
    purpose: 'export',
    service: { host: HOST, port: servicePort },
    gateway: outer,
    faraway: path?.b ?? inner,
    signal: stop.export.signal,
  });
  const importing = runWormhole({
    ...common,
    purpose: 'import',
    service: { host: HOST, port: 0 },
    gateway: inner,
    faraway: path?.a ?? outer,
    signal: stop.import.signal,
    onReady: importerReady,
  });
  const outcomes = Promise.allSettled([importing, exporting]);
  const port = await Promise.race([
    ready,
    outcomes.then((all) => {
      throw new Error(`the wormholes ended: ${JSON.stringify(all)}`);
    }),
  ]);
  return {
    port,
    stop,
    outcomes,
    async close() {
      stop.import.abort();
      await outcomes;
      await path?.close();
    },
  };
}

/** Connects, sends `request`, and collects everything until the other side ends. */
export function ask(port: number, request: Buffer | string, end = false): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect({ host: HOST, port, allowHalfOpen: true });
    socket.on('error', reject);
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('end', () => {
      socket.end();
      resolve(Buffer.concat(chunks));
    });
    if (end) socket.end(request);
    else socket.write(request);
  });
}
