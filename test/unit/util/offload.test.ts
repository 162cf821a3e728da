import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv4 } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { bindOffloaded, hasOffload } from '../../../src/util/offload.js';
import { sameSocketAddress, socketAddress } from '../../../src/util/socket-address.js';

test('an address is written as the kernel reads it, and compared whole', () => {
  const four = socketAddress({ address: '192.0.2.9', port: 0x1234 });
  expect(four.toString('hex').slice(4)).toBe('1234c00002090000000000000000');
  expect(four).toHaveLength(16);
  const six = socketAddress({ address: '2001:db8::1', port: 53 });
  expect(six.toString('hex').slice(4, 48)).toBe('00350000000020010db8000000000000000000000001'.slice(0, 44));
  expect(six).toHaveLength(28);
  const others = [
    { address: '192.0.2.9', port: 0x1235 },
    { address: '192.0.2.8', port: 0x1234 },
  ];
  for (const other of others) expect(sameSocketAddress(four, socketAddress(other))).toBe(false);
  expect(sameSocketAddress(six, socketAddress({ address: '2001:db8::2', port: 53 }))).toBe(false);
  expect(sameSocketAddress(six, socketAddress({ address: '2001:db8::1', port: 53 }))).toBe(true);
  const near = (zone: string) => socketAddress({ address: `fe80::1${zone}`, port: 53 });
  expect(sameSocketAddress(near('%7'), near('%7'))).toBe(true);
  expect(sameSocketAddress(near('%7'), near('%8'))).toBe(false);
  expect(sameSocketAddress(near(''), near('%8'))).toBe(true);
});

const offloaded = test.runIf(hasOffload());

for (const address of ['127.0.0.1', '::1']) {
  offloaded(
    `${address}: what is sent at once is cut, arrives joined or not, and comes from the peer alone`,
    async () => {
      const to = bindOffloaded({ address, port: 0 }, 1 << 20);
      const from = bindOffloaded({ address, port: 0 }, 1 << 20);
      const stranger = createSocket(isIPv4(address) ? 'udp4' : 'udp6');
      onTestFinished(() => {
        for (const socket of [to.socket, from.socket, stranger]) socket.close();
      });
      const drain = to.drain({ address, port: from.socket.address().port });
      const sizes: number[] = [];
      const { port } = to.socket.address();
      to.socket.on('message', ({ length }) => {
        sizes.push(length);
        drain.read((_data, start, end) => sizes.push(end - start));
      });
      from.cut(1000);
      from.socket.send(Buffer.alloc(5_500, 1), port, address);
      await expect.poll(() => sizes.reduce((sum, size) => sum + size, 0)).toBe(5_500);
      // Node's own events hand over everybody's; the drain knows one peer.
      stranger.send(Buffer.alloc(77), port, address);
      await expect.poll(() => sizes.includes(77)).toBe(true);
      to.socket.removeAllListeners('message');
      to.socket.on('message', () => {});
      from.cut(0);
      from.socket.send(Buffer.alloc(1_400), port, address);
      await once(to.socket, 'message');
    },
  );
}

offloaded('a port that is taken is refused with the words of every bind', () => {
  const first = bindOffloaded({ address: '127.0.0.1', port: 0 }, 1 << 20);
  onTestFinished(() => void first.socket.close());
  const { port } = first.socket.address();
  expect(() => bindOffloaded({ address: '127.0.0.1', port }, 1 << 20)).toThrow(
    expect.objectContaining({ code: 'UDP_BIND', message: expect.stringContaining(`127.0.0.1:${port}`) }),
  );
});
