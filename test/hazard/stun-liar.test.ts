import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { probe } from '../../src/stun/probe.js';
import { type Endpoint, formatEndpoint } from '../../src/util/endpoint.js';
import { UdpSocket } from '../../src/util/udp.js';
import { encodeStun } from '../../src/wire/stun.js';
import { type FakeBehaviour, FakeStunServer, success } from '../support/stun-fake.js';

let socket: UdpSocket;
const opened: { close(): Promise<void> }[] = [];

beforeEach(async () => {
  socket = await open('127.0.0.1');
});
afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(opened.splice(0).map((each) => each.close()));
});

async function open(address: string): Promise<UdpSocket> {
  const made = await UdpSocket.bind({ address, port: 0 });
  opened.push(made);
  return made;
}

async function server(behave: FakeBehaviour, address?: string): Promise<FakeStunServer> {
  const made = await FakeStunServer.start(behave, address);
  opened.push(made);
  return made;
}

/** Everything any socket of this process was told to send from now on. */
function watchSending(): { to: Endpoint; bytes: number }[] {
  const sent: { to: Endpoint; bytes: number }[] = [];
  const original = UdpSocket.prototype.send;
  vi.spyOn(UdpSocket.prototype, 'send').mockImplementation(function (this: UdpSocket, data, to, ttl) {
    sent.push({ to, bytes: data.length });
    return original.call(this, data, to, ttl);
  });
  return sent;
}

const HONEST: FakeBehaviour = (request, from) => [success(request, from)];

describe('answers that are not the server’s', () => {
  test('another host that somehow knows the id does not decide our endpoint', async () => {
    const attacker = await open('127.0.0.2');
    const asked = await server((request, from) => [
      { ...success(request, { address: '127.0.0.1', port: 666 }), via: attacker },
      success(request, from),
    ]);
    expect(await probe(socket, [asked.endpoint]).endpoint).toEqual(socket.local);
  });

  test('another port of the server does not either', async () => {
    const attacker = await open('127.0.0.1');
    const asked = await server((request, from) => [
      { ...success(request, { address: '127.0.0.1', port: 666 }), via: attacker },
      success(request, from),
    ]);
    expect(await probe(socket, [asked.endpoint]).endpoint).toEqual(socket.local);
  });

  test('an attacker who guesses ids does not either', async () => {
    const asked = await server((request, from) => {
      const forged = Array.from({ length: 50 }, (_, i) => {
        const id = Buffer.from(request.id);
        id[4 + (i % 12)] = (id[4 + (i % 12)] ?? 0) ^ (i + 1);
        return success({ ...request, id }, { address: '127.0.0.1', port: 666 });
      });
      return [...forged, success(request, from)];
    });
    expect(await probe(socket, [asked.endpoint]).endpoint).toEqual(socket.local);
  });
});

describe('a server that lies about us', () => {
  test('another endpoint each time it is asked: nothing is measured from that', async () => {
    let port = 20_000;
    const liar = await server((request) => [success(request, { address: '127.0.0.1', port: port++ })]);
    const report = await probe(socket, [liar.endpoint]).report;
    expect(report.mapping).toBe('not-measured');
    expect(report).not.toHaveProperty('portStep');
  });

  test('it cannot make a measured mapping out of an honest server’s answer', async () => {
    let port = 20_000;
    const liar = await server((request) => [success(request, { address: '127.0.0.1', port: port++ })]);
    const honest = await server(HONEST, '127.0.0.2');
    const report = await probe(socket, [liar.endpoint, honest.endpoint]).report;
    expect(report.mapping).not.toBe('endpoint-independent');
  });

  test('one liar among three is noticed: what does not fit together is not measured', async () => {
    const liar = await server(
      (request) => [success(request, { address: '127.0.0.1', port: 666 })],
      '127.0.0.3',
    );
    const honest = [await server(HONEST), await server(HONEST, '127.0.0.2')];
    const servers = [...honest, liar].map(({ endpoint }) => endpoint);
    expect((await probe(socket, servers).report).mapping).toBe('not-measured');
  });

  test.each(['0.0.0.0', '255.255.255.255', '224.0.0.251', '169.254.169.254', '192.168.1.1', '10.0.0.1'])(
    'an own address %s is never believed, and nothing is sent there',
    async (address) => {
      const sent = watchSending();
      const liar = await server((request) => [success(request, { address, port: 80 })]);
      const probing = probe(socket, [liar.endpoint], { schedule: [10, 10] });
      await expect(probing.endpoint).rejects.toThrow(/which cannot be/);
      await probing.report;
      expect(sent.filter(({ to }) => to.address === address)).toEqual([]);
    },
  );
});

describe('a server that wants us to shoot at somebody', () => {
  test.each(['10.0.0.1:3479', '169.254.169.254:80', '192.0.2.1:53', '255.255.255.255:3479', '127.0.0.3:53'])(
    'an other address %s that is not the server’s kind gets no datagram',
    async (victim) => {
      const sent = watchSending();
      const [address = '', port] = victim.split(':');
      const other = { address, port: Number(port) };
      const liar = await server((request, from) => [success(request, from, { other })]);
      await probe(socket, [liar.endpoint]).report;
      expect(sent.map(({ to }) => to.address)).not.toContain(address);
      expect(sent.length).toBeGreaterThan(0);
    },
  );

  test('an other address that looks right gets a handful of datagrams, however often the liar says so', async () => {
    const victim = await open('127.0.0.3');
    const sent = watchSending();
    const liars = await Promise.all(
      [1, 2, 3].map(() => server((request, from) => [success(request, from, { other: victim.local })])),
    );
    await probe(
      socket,
      liars.map(({ endpoint }) => endpoint),
    ).report;
    const hits = sent.filter(({ to }) => to.address === victim.local.address);
    expect(hits.length).toBeGreaterThan(0);
    expect(hits.length).toBeLessThanOrEqual(12);
    expect(hits.reduce((sum, { bytes }) => sum + bytes, 0)).toBeLessThanOrEqual(12 * 28);
  });

  test('a victim named as our own address gets no more from the hairpin test', async () => {
    const victim = await open('127.0.0.3');
    const sent = watchSending();
    const liar = await server((request) => [success(request, victim.local)]);
    const probing = probe(socket, [liar.endpoint]);
    expect(await probing.endpoint).toEqual(victim.local);
    await probing.report;
    const hits = sent.filter(({ to }) => formatEndpoint(to) === formatEndpoint(victim.local));
    expect(hits.length).toBeLessThanOrEqual(8);
  });
});

describe('damaged answers', () => {
  test('every truncation of an answer before the real one does no harm', async () => {
    const asked = await server((request, from) => {
      const good = success(request, from, { mapped: from, other: { address: '127.0.0.2', port: 9 } });
      const cuts = Array.from({ length: good.bytes.length }, (_, i) => ({
        bytes: good.bytes.subarray(0, i),
      }));
      return [...cuts, good];
    });
    expect(await probe(socket, [asked.endpoint]).endpoint).toEqual(socket.local);
  });

  test('an answer without any address is no answer', async () => {
    const asked = await server((request) => [{ bytes: encodeStun({ kind: 'success', id: request.id }) }]);
    await expect(probe(socket, [asked.endpoint], { schedule: [10] }).endpoint).rejects.toMatchObject({
      code: 'STUN_UNREACHABLE',
    });
  });
});
