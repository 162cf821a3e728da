import { expect, test } from 'vitest';
import { silentLogger } from '../../../../src/log.js';
import { TubusConnection } from '../../../../src/tunnel/tubus/connection.js';
import { TUBUS_LIMITS } from '../../../../src/tunnel/tubus/limits.js';
import { UdpSocket } from '../../../../src/util/udp.js';
import { encodeTubus } from '../../../../src/wire/tubus.js';
import { HOST } from '../../../support/wormhole.js';

const here = { address: HOST, port: 0 };

async function pair() {
  const [a, b] = await Promise.all([UdpSocket.bind(here), UdpSocket.bind(here)]);
  const common = { secret: 5n, log: silentLogger };
  const [one, two] = await Promise.all([
    TubusConnection.open({ ...common, socket: a, peer: b.local, role: 'connect' }),
    TubusConnection.open({ ...common, socket: b, peer: a.local, role: 'accept' }),
  ]);
  return { a, b, one, two, close: () => Promise.all([a.close(), b.close()]) };
}

async function readAll(connection: TubusConnection): Promise<Buffer> {
  const all: Buffer[] = [];
  for (;;) {
    const chunks = await connection.read();
    if (!chunks) return Buffer.concat(all);
    all.push(...chunks);
  }
}

test('writers that do not wait for each other keep their order, and close delivers them all', async () => {
  const { one, two, close } = await pair();
  try {
    const pieces = Array.from({ length: 200 }, (_, i) => Buffer.alloc(10_000, i));
    const written = Promise.all(pieces.map((piece) => one.write(piece)));
    const ended = one.close(10_000);
    const got = await readAll(two);
    await written;
    expect(got.equals(Buffer.concat(pieces))).toBe(true);
    expect([await ended, await two.ended]).toEqual(['closed', 'torn']);
    await expect(one.write(Buffer.alloc(1))).rejects.toMatchObject({ code: 'TUNNEL_LOST' });
  } finally {
    await close();
  }
});

test('datagrams from another source, or that are no tubus, are counted and change nothing', async () => {
  const { a, one, two, close } = await pair();
  const stranger = await UdpSocket.bind(here);
  try {
    const tear = encodeTubus({ pin: 1, sections: [{ type: 'tear' }] }, 5n, 1n);
    await stranger.send(tear, a.local);
    await stranger.send(Buffer.from('noise'), a.local);
    await expect.poll(() => one.stats.ignored).toBe(2);
    await two.write(Buffer.from('still here'));
    expect(String(await one.read())).toBe('still here');
    expect(one.end).toBeUndefined();
    await Promise.all([one.close(1000), two.ended]);
  } finally {
    await stranger.close();
    await close();
  }
});

test('nobody there ends with HANDSHAKE_TIMEOUT, an abort with its own reason, and no timer is left', async () => {
  const socket = await UdpSocket.bind(here);
  const silent = await UdpSocket.bind(here);
  const common = { socket, peer: silent.local, role: 'connect', secret: 0n, log: silentLogger } as const;
  try {
    const limits = { ...TUBUS_LIMITS, connectMs: 50 };
    await expect(TubusConnection.open({ ...common, limits })).rejects.toMatchObject({
      code: 'HANDSHAKE_TIMEOUT',
    });
    const stop = new AbortController();
    const opening = TubusConnection.open({ ...common, signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(opening).rejects.toThrow('enough');
  } finally {
    await Promise.all([socket.close(), silent.close()]);
  }
});
