import { afterEach, describe, expect, test } from 'vitest';
import { AwlError } from '../../../src/errors.js';
import { silentLogger } from '../../../src/log.js';
import type { PunchOptions } from '../../../src/punch/options.js';
import { punch } from '../../../src/punch/puncher.js';
import { UdpSocket } from '../../../src/util/udp.js';
import { UNMEASURED } from '../../../src/wire/nat-report.js';

const SECRET = 42n;
const open: UdpSocket[] = [];

async function bind(address = '127.0.0.1'): Promise<UdpSocket> {
  const socket = await UdpSocket.bind({ address, port: 0 });
  open.push(socket);
  return socket;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((socket) => socket.close()));
});

function options(socket: UdpSocket, other: UdpSocket, role: 'invite' | 'accept'): PunchOptions {
  return {
    socket,
    role,
    secret: SECRET,
    peer: other.local,
    hops: 7,
    timeoutMs: 5000,
    allowLoopback: true,
    log: silentLogger,
  };
}

async function failure(promise: Promise<unknown>): Promise<AwlError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof AwlError) return error;
  throw new Error(`expected an AwlError, got ${error}`);
}

describe('two sides on one machine', () => {
  test('pass with the confirmation, and the sockets stay open and quiet', async () => {
    const [a, b] = [await bind(), await bind()];
    const confirmKey = Buffer.alloc(32, 3);
    const [invite, accept] = await Promise.all([
      punch({ ...options(a, b, 'invite'), confirmKey }),
      punch({ ...options(b, a, 'accept'), confirmKey }),
    ]);
    expect(invite).toMatchObject({ peer: b.local, how: 'reflexive', confirmed: true });
    expect(accept).toMatchObject({ peer: a.local, how: 'reflexive', confirmed: true });
    expect([a.closed, b.closed]).toEqual([false, false]);
    expect(invite.stats.bad + accept.stats.bad).toBe(0);
  });

  test('pass without it, as plexus would', async () => {
    const [a, b] = [await bind(), await bind()];
    const [invite, accept] = await Promise.all([
      punch(options(a, b, 'invite')),
      punch(options(b, a, 'accept')),
    ]);
    expect([invite.confirmed, accept.confirmed]).toEqual([false, false]);
    expect([invite.peer, accept.peer]).toEqual([b.local, a.local]);
  });

  test('do not pass with different confirmation keys, and say that nobody confirmed', async () => {
    const [a, b] = [await bind(), await bind()];
    const results = await Promise.all([
      failure(punch({ ...options(a, b, 'invite'), confirmKey: Buffer.alloc(32, 3), timeoutMs: 700 })),
      failure(punch({ ...options(b, a, 'accept'), confirmKey: Buffer.alloc(32, 4), timeoutMs: 700 })),
    ]);
    for (const error of results) {
      expect(error.code).toBe('HANDSHAKE_TIMEOUT');
      expect(error.message).toContain('never confirmed');
    }
  });

  test('pass over IPv6', async () => {
    const [a, b] = [await bind('::1'), await bind('::1')];
    const confirmKey = Buffer.alloc(32, 3);
    const [invite] = await Promise.all([
      punch({ ...options(a, b, 'invite'), confirmKey }),
      punch({ ...options(b, a, 'accept'), confirmKey }),
    ]);
    expect(invite).toMatchObject({ peer: b.local, confirmed: true });
  });
});

describe('an attempt that cannot succeed', () => {
  test('at a forbidden address sends nothing and names it', async () => {
    const [a, b] = [await bind(), await bind()];
    let heard = 0;
    b.subscribe(() => {
      heard += 1;
    });
    const error = await failure(punch({ ...options(a, b, 'invite'), allowLoopback: false }));
    expect(error.code).toBe('ADDRESS_REFUSED');
    expect(error.message).toContain(`127.0.0.1:${b.local.port}`);
    expect(error.message).toContain('loopback');
    expect(heard).toBe(0);
  });

  test('says that nothing arrived', async () => {
    const [a, b] = [await bind(), await bind()];
    const error = await failure(punch({ ...options(a, b, 'invite'), timeoutMs: 300 }));
    expect(error.code).toBe('HANDSHAKE_TIMEOUT');
    expect(error.message).toContain('nothing arrived');
    expect(error.hint).toBeTruthy();
  });

  test('says that only foreign frames arrived', async () => {
    const [a, b] = [await bind(), await bind()];
    const timer = setInterval(() => void b.send(Buffer.from('who is there?'), a.local), 50);
    try {
      const error = await failure(punch({ ...options(a, b, 'accept'), timeoutMs: 400 }));
      expect(error.code).toBe('HANDSHAKE_TIMEOUT');
      expect(error.message).toContain('none was a handshake');
    } finally {
      clearInterval(timer);
    }
  });

  test('behind two moving NATs ends with their names, in fake time', async () => {
    const [a, b] = [await bind(), await bind()];
    const symmetric = {
      ...UNMEASURED,
      nat: 'yes',
      mapping: 'address-and-port-dependent',
      filtering: 'address-and-port-dependent',
    } as const;
    const begin = performance.now();
    const error = await failure(
      punch({
        ...options(a, b, 'invite'),
        reports: { own: symmetric, peer: symmetric },
        timeoutMs: 60_000,
        now: () => (performance.now() - begin) * 100,
      }),
    );
    expect(error.code).toBe('NAT_IMPOSSIBLE');
    expect(error.message).toContain('symmetric NAT');
  });
});

describe('an abort', () => {
  test('ends the attempt with its reason and leaves the socket to its owner', async () => {
    const [a, b] = [await bind(), await bind()];
    const controller = new AbortController();
    const attempt = punch({ ...options(a, b, 'invite'), signal: controller.signal });
    const reason = new AwlError('ABORTED', 'stopped by the test');
    setTimeout(() => controller.abort(reason), 30);
    await expect(attempt).rejects.toBe(reason);
    expect(a.closed).toBe(false);
    expect(await a.send(Buffer.from('still usable'), b.local)).toBe(true);
  });

  test('before the start sends nothing', async () => {
    const [a, b] = [await bind(), await bind()];
    const reason = new AwlError('ABORTED', 'stopped before');
    await expect(punch({ ...options(a, b, 'invite'), signal: AbortSignal.abort(reason) })).rejects.toBe(
      reason,
    );
  });
});
