import { expect, test } from 'vitest';
import { proveFree } from '../../../src/launch/port.js';
import { UdpSocket } from '../../../src/util/udp.js';

test('a port that a closed socket has given back is free', async () => {
  const socket = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  await socket.close();
  await expect(proveFree(socket.local)).resolves.toBeUndefined();
});

test('a port that is let go a moment later is waited for', async () => {
  const socket = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  const proof = proveFree(socket.local);
  await new Promise(setImmediate);
  await socket.close();
  await expect(proof).resolves.toBeUndefined();
});

test('a port that stays in use is named', async () => {
  const socket = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  try {
    await expect(proveFree(socket.local)).rejects.toMatchObject({
      code: 'PAYLOAD_START',
      message: expect.stringContaining(`127.0.0.1:${socket.local.port} is in use`),
    });
  } finally {
    await socket.close();
  }
});

test('an address of another machine is an error at once', async () => {
  await expect(proveFree({ address: '192.0.2.1', port: 0 })).rejects.toMatchObject({
    code: 'PAYLOAD_START',
    message: expect.stringContaining('192.0.2.1:0'),
  });
});

test('an abort ends the wait for a busy port', async () => {
  const socket = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  try {
    const controller = new AbortController();
    const proof = proveFree(socket.local, controller.signal);
    controller.abort(new Error('enough'));
    await expect(proof).rejects.toThrow('enough');
  } finally {
    await socket.close();
  }
});
