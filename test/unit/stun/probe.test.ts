import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { probe } from '../../../src/stun/probe.js';
import { StunServer } from '../../../src/stun/server.js';
import { UdpSocket } from '../../../src/util/udp.js';
import { UNMEASURED } from '../../../src/wire/nat-report.js';
import { encodeStun } from '../../../src/wire/stun.js';
import { type FakeBehaviour, FakeStunServer, success } from '../../support/stun-fake.js';

const QUICK = [20, 20];
let socket: UdpSocket;
const opened: { close(): Promise<void> }[] = [];

beforeEach(async () => {
  socket = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  opened.push(socket);
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each.close()));
});

async function real(addresses = ['127.0.0.1', '127.0.0.2']): Promise<StunServer> {
  const server = await StunServer.start({ addresses, port: 0, altPort: 0 });
  opened.push(server);
  return server;
}

async function fake(behave: FakeBehaviour, address?: string): Promise<FakeStunServer> {
  const server = await FakeStunServer.start(behave, address);
  opened.push(server);
  return server;
}

const HONEST: FakeBehaviour = (request, from) => [success(request, from)];
const DEAD: FakeBehaviour = () => [];

describe('measuring with a server on two addresses', () => {
  test('everything is known, and the punching socket sent plain requests only', async () => {
    const server = await real();
    const seen: number[] = [];
    const send = socket.send.bind(socket);
    socket.send = (data, to, ttl) => {
      seen.push(data.length);
      return send(data, to, ttl);
    };
    const probing = probe(socket, [server.endpoint]);
    expect(await probing.endpoint).toEqual(socket.local);
    expect(await probing.report).toEqual({
      nat: 'no',
      mapping: 'endpoint-independent',
      filtering: 'endpoint-independent',
      hairpin: 'not-measured',
      portPreservation: 'yes',
    });
    expect(new Set(seen)).toEqual(new Set([20]));
    expect(probing.servers()).toMatchObject([{ server: server.endpoint, outcome: { kind: 'answer' } }]);
    expect((await probing.first).server).toEqual(server.endpoint);
  });

  test('what is known can be asked for at any time', async () => {
    const probing = probe(socket, [(await real()).endpoint]);
    expect(probing.current()).toEqual(UNMEASURED);
    await probing.endpoint;
    expect(probing.current().nat).toBe('no');
  });
});

describe('measuring with plain servers', () => {
  test('one server alone leaves mapping and filtering open', async () => {
    const server = await real(['127.0.0.1']);
    const probing = probe(socket, [server.endpoint]);
    expect(await probing.report).toMatchObject({ mapping: 'not-measured', filtering: 'not-measured' });
  });

  test('two that agree settle the mapping', async () => {
    const servers = [await fake(HONEST), await fake(HONEST, '127.0.0.2')];
    const probing = probe(
      socket,
      servers.map(({ endpoint }) => endpoint),
    );
    expect(await probing.report).toMatchObject({
      mapping: 'endpoint-independent',
      filtering: 'not-measured',
    });
  });

  test('an answer that was lost and asked for anew still counts when all mappings are said to be known', async () => {
    let asked = 0;
    const losing: FakeBehaviour = (request, from) => (++asked < 3 ? [] : [success(request, from)]);
    const servers = [await fake(HONEST), await fake(losing, '127.0.0.2')];
    const probing = probe(
      socket,
      servers.map(({ endpoint }) => endpoint),
    );
    await probing.endpoint;
    expect(probing.current().mapping).toBe('not-measured');
    await probing.mappings;
    expect(probing.current().mapping).toBe('endpoint-independent');
  });

  test('a dead server next to a good one is not waited for', async () => {
    const servers = [await fake(DEAD), await fake(HONEST, '127.0.0.2')];
    const probing = probe(
      socket,
      servers.map(({ endpoint }) => endpoint),
    );
    expect(await probing.endpoint).toEqual(socket.local);
    await probing.report;
    // Still being asked when the report was there: nobody waited for its 4.6 s.
    expect(probing.servers().map(({ outcome }) => outcome?.kind)).toEqual([undefined, 'answer']);
  });

  test('a server that promises another address and keeps none of it proves no filtering', async () => {
    const other = { address: '127.0.0.2', port: 40_000 };
    const server = await fake((request, from) => (request.change ? [] : [success(request, from, { other })]));
    expect((await probe(socket, [server.endpoint]).report).filtering).toBe('not-measured');
  });
});

describe('ends', () => {
  test('no answer is one error that names all servers, and the report still resolves', async () => {
    const servers = [await fake(DEAD), await fake(DEAD)];
    const probing = probe(
      socket,
      servers.map(({ endpoint }) => endpoint),
      { schedule: QUICK },
    );
    await expect(probing.endpoint).rejects.toMatchObject({
      code: 'STUN_UNREACHABLE',
      message: expect.stringContaining(
        `${servers[0]?.endpoint.port}, 127.0.0.1:${servers[1]?.endpoint.port}`,
      ),
    });
    expect(await probing.report).toEqual(UNMEASURED);
  });

  test('a refusal is quoted', async () => {
    const server = await fake((request) => [
      { bytes: encodeStun({ kind: 'error', id: request.id, error: { code: 500, reason: 'tired' } }) },
    ]);
    await expect(probe(socket, [server.endpoint]).endpoint).rejects.toThrow(/error 500 tired/);
  });

  test('nobody has to listen to the endpoint', async () => {
    const server = await fake(DEAD);
    expect(await probe(socket, [server.endpoint], { schedule: [5] }).report).toEqual(UNMEASURED);
  });

  test('no server at all is an error, not a wait', async () => {
    await expect(probe(socket, []).endpoint).rejects.toMatchObject({ code: 'STUN_UNREACHABLE' });
  });

  test('aborting before the endpoint rejects it with the reason; the report resolves', async () => {
    const server = await fake(DEAD);
    const controller = new AbortController();
    const probing = probe(socket, [server.endpoint], { signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(probing.endpoint).rejects.toThrow('enough');
    expect(await probing.report).toEqual(UNMEASURED);
    await expect(probe(socket, [server.endpoint], { signal: controller.signal }).endpoint).rejects.toThrow(
      'enough',
    );
  });

  test('aborting after the endpoint ends the tests with what is known', async () => {
    const servers = [await fake(HONEST), await fake(DEAD)];
    const controller = new AbortController();
    const probing = probe(
      socket,
      servers.map(({ endpoint }) => endpoint),
      { signal: controller.signal },
    );
    await probing.endpoint;
    controller.abort(new Error('enough'));
    expect((await probing.report).nat).toBe('no');
  });
});
