import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { libc } from '../../../src/util/libc.js';
import { tcpInfo } from '../../../src/util/tcp-info.js';

test.runIf(libc())(
  'the kernel tells round trip and repetitions of a connection, and nothing of a closed one',
  async () => {
    const server = createServer((socket) => void socket.pipe(socket)).listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const socket = connect(server.address() as { port: number }) as Socket;
    await once(socket, 'connect');
    const before = tcpInfo(socket)?.packets ?? -1;
    expect(before).toBe(0);
    socket.write('some bytes');
    await once(socket, 'data');
    const after = tcpInfo(socket);
    expect(after?.packets).toBeGreaterThan(0);
    expect(after?.repeated).toBeLessThanOrEqual(after?.packets ?? 0);
    expect(after?.rttMs).toBeGreaterThan(0);
    expect(after?.rttMs).toBeLessThan(10_000);
    socket.destroy();
    await once(socket, 'close');
    expect(tcpInfo(socket)).toBeUndefined();
  },
);
