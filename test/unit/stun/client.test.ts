import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { isAwlError } from '../../../src/errors.js';
import { bind, transact } from '../../../src/stun/client.js';
import { type DatagramListener, UdpSocket } from '../../../src/util/udp.js';
import { encodeStun, hasCookie } from '../../../src/wire/stun.js';
import { type FakeBehaviour, FakeStunServer, success } from '../../support/stun-fake.js';

const QUICK = [20, 20, 20];
let socket: UdpSocket;
const opened: { close(): Promise<void> }[] = [];

beforeEach(async () => {
  socket = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  opened.push(socket);
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each.close()));
});

async function server(behave: FakeBehaviour): Promise<FakeStunServer> {
  const fake = await FakeStunServer.start(behave);
  opened.push(fake);
  return fake;
}

async function other(): Promise<UdpSocket> {
  const extra = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  opened.push(extra);
  return extra;
}

/** Number of listeners that the socket still has. */
function countListeners(): () => number {
  let count = 0;
  const original = socket.subscribe.bind(socket);
  vi.spyOn(socket, 'subscribe').mockImplementation((listener: DatagramListener) => {
    count++;
    const stop = original(listener);
    return () => {
      count--;
      stop();
    };
  });
  return () => count;
}

describe('a Binding transaction', () => {
  test('a modern server’s XOR-MAPPED is preferred to a MAPPED that some gateway rewrote', async () => {
    const fake = await server((request, from) => [
      success(request, from, { mapped: { address: '127.0.0.1', port: 1 } }),
    ]);
    const answer = await bind(socket, fake.endpoint);
    expect(answer).toMatchObject({ mapped: socket.local, from: fake.endpoint, server: fake.endpoint });
  });

  test('a classic-only server is served by the same request, and its CHANGED-ADDRESS is learnt', async () => {
    const changed = { address: '127.0.0.2', port: 3479 };
    const fake = await server((request, from) => [
      {
        bytes: encodeStun({ kind: 'success', id: request.id, mapped: from, source: fake.endpoint, changed }),
      },
    ]);
    expect(await bind(socket, fake.endpoint)).toMatchObject({ mapped: socket.local, alternate: changed });
  });

  test('a classic request has no cookie, and XOR-MAPPED in its answer is not believed', async () => {
    const fake = await server((request, from) => {
      const bytes = encodeStun({ kind: 'success', id: request.id, mapped: from });
      const garbage = Buffer.from('802000080001111122223333', 'hex');
      bytes.writeUInt16BE(bytes.length - 20 + garbage.length, 2);
      return [{ bytes: Buffer.concat([bytes, garbage]) }];
    });
    expect((await bind(socket, fake.endpoint, { classic: true })).mapped).toEqual(socket.local);
    expect(hasCookie(fake.requests[0]?.subarray(4, 20) ?? Buffer.alloc(16))).toBe(false);
  });

  test('a lost answer is asked for again with the same id', async () => {
    const fake = await server((request, from) => (fake.requests.length < 3 ? [] : [success(request, from)]));
    await bind(socket, fake.endpoint, { schedule: QUICK });
    expect(fake.requests).toHaveLength(3);
    expect(new Set(fake.requests.map((request) => request.toString('hex'))).size).toBe(1);
  });

  test('silence is an error that names the server and the cure', async () => {
    const fake = await server(() => []);
    const error: unknown = await bind(socket, fake.endpoint, { schedule: QUICK }).catch((e: unknown) => e);
    expect(isAwlError(error, 'STUN_UNREACHABLE')).toBe(true);
    expect(String(error)).toContain(`127.0.0.1:${fake.endpoint.port} did not answer`);
    expect(isAwlError(error) && error.hint).toContain('--stun-server');
    expect(fake.requests).toHaveLength(3);
  });

  test('an error answer ends the transaction at once and is quoted', async () => {
    const fake = await server((request) => [
      { bytes: encodeStun({ kind: 'error', id: request.id, error: { code: 401, reason: 'Unauthorized' } }) },
    ]);
    await expect(bind(socket, fake.endpoint)).rejects.toThrow(/refused: error 401 Unauthorized/);
    expect(fake.requests).toHaveLength(1);
  });

  test.each([['from another port of the server', (r: Buffer, via: UdpSocket) => ({ bytes: r, via })]])(
    'an answer %s is not taken',
    async (_, reply) => {
      const stranger = await other();
      const fake = await server((request, from) => [
        reply(Buffer.from(success(request, from).bytes), stranger),
      ]);
      expect(await transact(socket, fake.endpoint, { schedule: QUICK })).toMatchObject({ kind: 'silent' });
    },
  );

  test('an answer with another id is not taken, even from the server', async () => {
    const fake = await server((request, from) => [
      success(
        {
          ...request,
          id: Buffer.concat([request.id.subarray(0, 15), Buffer.from([(request.id[15] ?? 0) ^ 1])]),
        },
        from,
      ),
    ]);
    expect(await transact(socket, fake.endpoint, { schedule: QUICK })).toMatchObject({ kind: 'silent' });
  });

  test('garbage and a truncated answer before the real one do no harm', async () => {
    const fake = await server((request, from) => {
      const good = success(request, from);
      return [
        { bytes: Buffer.from([1, 2, 3, 4, 5, 6]) },
        { bytes: Buffer.from(good.bytes).subarray(0, 25) },
        { bytes: encodeStun({ kind: 'success', id: request.id }) },
        good,
      ];
    });
    expect((await bind(socket, fake.endpoint)).mapped).toEqual(socket.local);
  });

  test('only the first valid answer counts', async () => {
    const fake = await server((request, from) => [
      success(request, from),
      success(request, { address: '127.0.0.1', port: 1 }),
    ]);
    expect((await bind(socket, fake.endpoint)).mapped.port).toBe(socket.local.port);
  });

  test.each(['0.0.0.0', '239.1.2.3', '255.255.255.255', '169.254.169.254'])(
    'an impossible own address %s is not believed, and the error says so',
    async (address) => {
      const fake = await server((request) => [success(request, { address, port: 99 })]);
      await expect(bind(socket, fake.endpoint, { schedule: QUICK })).rejects.toThrow(
        `says that we are ${address}:99, which cannot be`,
      );
    },
  );

  test('aborting rejects with the reason, at once, and nothing keeps listening', async () => {
    const listeners = countListeners();
    const fake = await server(() => []);
    const controller = new AbortController();
    const pending = bind(socket, fake.endpoint, { signal: controller.signal });
    expect(listeners()).toBe(1);
    controller.abort(new Error('enough'));
    await expect(pending).rejects.toThrow('enough');
    expect(listeners()).toBe(0);
    await expect(bind(socket, fake.endpoint, { signal: controller.signal })).rejects.toThrow('enough');
    expect(listeners()).toBe(0);
  });

  test('neither success nor silence leaves a listener on the shared socket', async () => {
    const listeners = countListeners();
    const fake = await server((request, from) =>
      fake.requests.length === 1 ? [success(request, from)] : [],
    );
    await transact(socket, fake.endpoint);
    expect(listeners()).toBe(0);
    await transact(socket, fake.endpoint, { schedule: QUICK });
    expect(listeners()).toBe(0);
  });
});

describe('CHANGE-REQUEST', () => {
  test('the reply counts only from the changed address', async () => {
    const alternate = await other();
    const fake = await server((request, from) => [
      {
        ...success(request, from, { other: alternate.local }),
        ...(request.change?.port && { via: alternate }),
      },
    ]);
    const answer = await bind(socket, fake.endpoint, { changePort: true });
    expect(answer.from).toEqual(alternate.local);
    expect(fake.requests.map((request) => request.length)).toEqual([20, 28]);
  });

  test('a server that answers from where it was asked has ignored the request', async () => {
    const alternate = await other();
    const fake = await server((request, from) => [success(request, from)]);
    const outcome = await transact(socket, fake.endpoint, { changePort: true, alternate: alternate.local });
    expect(outcome).toEqual({ kind: 'refused', why: 'CHANGE-REQUEST ignored' });
  });

  test('a server without another address is named in the error', async () => {
    const fake = await server((request, from) => [success(request, from)]);
    await expect(bind(socket, fake.endpoint, { changeIp: true })).rejects.toThrow(/has no other address/);
  });
});
