import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { silentLogger } from '../../src/log.js';
import type { TubusEnd } from '../../src/tunnel/tubus/types.js';
import { exportService } from '../../src/tunnel/wormhole/exporter.js';
import type { WormholeStream } from '../../src/tunnel/wormhole/mux.js';
import { encodeFrameHeader, FrameReader } from '../../src/wire/tubus-frame.js';
import { HOST, tcpService } from '../support/wormhole.js';

const open = (id: number) => encodeFrameHeader(id, 0);
const data = (id: number, text: string) =>
  Buffer.concat([encodeFrameHeader(id, text.length), Buffer.from(text)]);

/** An importer that says what it likes; what the exporter says is collected. */
class HostileStream implements WormholeStream {
  end: TubusEnd | undefined;
  readonly ended: Promise<TubusEnd>;
  readonly controls: number[] = [];
  readonly heard = new Map<number, string>();
  readonly #reader = new FrameReader();
  #said: Buffer[] = [];
  #wake: () => void = () => {};
  #finish: (end: TubusEnd) => void = () => {};

  constructor() {
    this.ended = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  say(...frames: Buffer[]): void {
    this.#said.push(...frames);
    this.#wake();
  }

  stop(): void {
    this.end = 'torn';
    this.#finish('torn');
    this.#wake();
  }

  async read(): Promise<Buffer[] | undefined> {
    while (this.#said.length === 0) {
      if (this.end) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#said.splice(0);
  }

  async write(bytes: Buffer): Promise<void> {
    for (const part of this.#reader.push(bytes)) {
      if (part.kind === 'control') this.controls.push(part.id);
      else this.heard.set(part.id, `${this.heard.get(part.id) ?? ''}${part.data}`);
    }
  }
}

async function against(
  serve: (socket: Socket) => void,
  use: (stream: HostileStream, service: Awaited<ReturnType<typeof tcpService>>) => Promise<void>,
) {
  const service = await tcpService(serve, true);
  const stream = new HostileStream();
  const exporting = exportService(stream, { host: HOST, port: service.port }, silentLogger, 20);
  try {
    await use(stream, service);
  } finally {
    stream.stop();
    await exporting;
    service.close();
  }
}

async function until(ready: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !ready(); i++) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(ready()).toBe(true);
}

test('an importer that opens ever more clients gets as many as allowed; the others are closed', async () => {
  await against(
    () => {},
    async (stream, service) => {
      stream.say(...Array.from({ length: 500 }, (_, id) => open(id)));
      await until(() => stream.controls.length === 480 && service.sockets.size === 20);
      expect(Math.min(...stream.controls)).toBe(20);
    },
  );
});

test('ids out of order, of clients that are over, and data for nobody open no connection', async () => {
  let connections = 0;
  await against(
    (socket) => {
      connections += 1;
      socket.pipe(socket);
    },
    async (stream) => {
      stream.say(open(5), open(4_294_967_295), data(0, 'nobody'), open(0), data(0, 'first'));
      await until(() => stream.heard.get(0) === 'first');
      stream.say(open(0));
      await until(() => stream.controls.includes(0));
      stream.say(open(0), open(0), data(0, 'late'), open(1), data(1, 'second'));
      await until(() => stream.heard.get(1) === 'second');
      expect(connections).toBe(2);
      expect(stream.heard.get(0)).toBe('first');
    },
  );
});

test('data behind a close frame does not reach the service', async () => {
  let got = '';
  await against(
    (socket) =>
      socket
        .on('data', (text) => {
          got += text;
        })
        .on('end', () => socket.end('bye')),
    async (stream) => {
      stream.say(open(0), data(0, 'before'), open(0), data(0, 'behind'));
      await until(() => stream.heard.get(0) === 'bye');
      expect(got).toBe('before');
    },
  );
});

test('the two close frames of the real importer end the service connection at once', async () => {
  await against(
    (socket) => socket.resume().write('kept open'),
    async (stream, service) => {
      stream.say(open(0), data(0, 'x'));
      await until(() => stream.heard.get(0) === 'kept open');
      stream.say(open(0), open(0));
      await until(() => [...service.sockets].every((socket) => socket.readableEnded));
      await until(() => stream.controls.length > 0);
      expect(new Set(stream.controls)).toEqual(new Set([0]));
    },
  );
});

test('clients get what arrived before the tunnel ended', async () => {
  let got = 0;
  let ended = false;
  await against(
    (socket) =>
      socket
        .on('data', (text) => {
          got += text.length;
        })
        .on('end', () => {
          ended = true;
        }),
    async (stream) => {
      stream.say(open(0), ...Array.from({ length: 100 }, () => data(0, 'y'.repeat(10_000))));
      stream.stop();
      await until(() => ended);
      expect(got).toBe(1_000_000);
    },
  );
});
