import { afterEach, describe, expect, test } from 'vitest';
import { bind, transact } from '../../../src/stun/client.js';
import { StunServer } from '../../../src/stun/server.js';
import { UdpSocket } from '../../../src/util/udp.js';
import { encodeStun } from '../../../src/wire/stun.js';

const BOTH = { addresses: ['127.0.0.1', '127.0.0.2'], port: 0, altPort: 0 };
const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each.close()));
});

async function start(options = BOTH): Promise<StunServer> {
  const server = await StunServer.start(options);
  opened.push(server);
  return server;
}

async function client(address = '127.0.0.1'): Promise<UdpSocket> {
  const socket = await UdpSocket.bind({ address, port: 0 });
  opened.push(socket);
  return socket;
}

describe('the embedded server on loopback', () => {
  test('its four endpoints answer, each naming the one across', async () => {
    const server = await start();
    const socket = await client();
    const { port, altPort } = server.layout;
    expect(altPort).not.toBe(port);
    for (const [address, at, across, other] of [
      ['127.0.0.1', port, '127.0.0.2', altPort],
      ['127.0.0.1', altPort, '127.0.0.2', port],
      ['127.0.0.2', port, '127.0.0.1', altPort],
      ['127.0.0.2', altPort, '127.0.0.1', port],
    ] as const) {
      const answer = await bind(socket, { address, port: at });
      expect(answer).toMatchObject({ mapped: socket.local, alternate: { address: across, port: other } });
    }
  });

  test.each([
    [true, true],
    [true, false],
    [false, true],
  ])('CHANGE-REQUEST ip %s port %s comes from the right socket', async (changeIp, changePort) => {
    const server = await start();
    const answer = await bind(await client(), server.endpoint, { changeIp, changePort });
    expect(answer.from).toEqual({
      address: changeIp ? '127.0.0.2' : '127.0.0.1',
      port: changePort ? server.layout.altPort : server.layout.port,
    });
  });

  test('a classic client is served', async () => {
    const server = await start();
    const answer = await bind(await client(), server.endpoint, { classic: true });
    expect(answer.alternate).toEqual({ address: '127.0.0.2', port: server.layout.altPort });
  });

  test('with one address it refuses a change of address instead of pretending', async () => {
    const server = await start({ ...BOTH, addresses: ['127.0.0.1'] });
    const outcome = await transact(await client(), server.endpoint, {
      changeIp: true,
      alternate: { address: '127.0.0.2', port: server.layout.altPort },
    });
    expect(outcome).toEqual({ kind: 'refused', why: 'error 420 Unknown Attribute' });
  });

  test('IPv6 works the same', async () => {
    const server = await start({ ...BOTH, addresses: ['::1'] });
    const socket = await client('::1');
    expect((await bind(socket, server.endpoint)).mapped).toEqual(socket.local);
  });

  test('answers, garbage and its own datagrams get no reply', async () => {
    const server = await start();
    const socket = await client();
    let heard = 0;
    socket.subscribe(() => heard++);
    const id = Buffer.alloc(16, 7);
    const rubbish = [
      encodeStun({ kind: 'success', id, mapped: socket.local }),
      encodeStun({ kind: 'error', id, error: { code: 400, reason: '' } }),
      Buffer.alloc(0),
      Buffer.alloc(1500, 1),
      encodeStun({ kind: 'request', id }).subarray(0, 19),
    ];
    for (const bytes of rubbish) await socket.send(bytes, server.endpoint);
    // An answered request afterwards proves that the rest has been looked at.
    await bind(socket, server.endpoint);
    expect(server.stats).toEqual({ answered: 1, ignored: rubbish.length, limited: 0 });
    expect(heard).toBe(1);
  });

  test('closing gives the ports back', async () => {
    const server = await StunServer.start(BOTH);
    const { port, altPort } = server.layout;
    await server.close();
    const again = await start({ ...BOTH, port, altPort });
    expect(again.layout).toEqual(server.layout);
  });
});

describe('settings that cannot work', () => {
  test.each([
    ['no address', []],
    ['a wildcard among two', ['0.0.0.0', '127.0.0.1']],
    ['one address twice', ['127.0.0.1', '127.0.0.1']],
    ['two families', ['127.0.0.1', '::1']],
    ['three addresses', ['127.0.0.1', '127.0.0.2', '127.0.0.3']],
    ['a name', ['localhost']],
    ['a multicast group', ['224.0.0.1']],
  ])('%s is refused with the cure', async (_, addresses) => {
    await expect(StunServer.start({ ...BOTH, addresses })).rejects.toMatchObject({
      code: 'USAGE_BAD_VALUE',
      hint: expect.stringContaining('address'),
    });
  });

  test('one port for both is refused', async () => {
    await expect(StunServer.start({ ...BOTH, port: 3478, altPort: 3478 })).rejects.toMatchObject({
      code: 'USAGE_BAD_VALUE',
    });
  });

  test('a port that is taken is named, and what was bound before it is given back', async () => {
    const server = await start();
    const { port, altPort } = server.layout;
    const error: unknown = await StunServer.start({ ...BOTH, port: 0, altPort: port }).catch(
      (e: unknown) => e,
    );
    expect(error).toMatchObject({ code: 'UDP_BIND', message: expect.stringContaining(String(port)) });
    await server.close();
    await start({ ...BOTH, port, altPort });
  });

  test('a lone wildcard means the address that this machine sends from', async () => {
    const server = await start({ ...BOTH, addresses: ['0.0.0.0'] });
    expect(server.endpoint.address).not.toBe('0.0.0.0');
    const socket = await UdpSocket.bind({ address: server.endpoint.address, port: 0 });
    opened.push(socket);
    expect((await bind(socket, server.endpoint)).mapped).toEqual(socket.local);
  });
});
