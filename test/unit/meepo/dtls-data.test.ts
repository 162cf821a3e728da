import { expect, test } from 'vitest';
import { DtlsData } from '../../../src/meepo/dtls-data.js';
import { DTLS_RECORD_BYTES, type DtlsKeys, dtlsRecords } from '../../../src/wire/dtls-record.js';

const keys = (n: number): DtlsKeys => ({
  cipher: 'aes-256-gcm',
  key: Buffer.alloc(32, n),
  salt: Buffer.alloc(4, n),
});

function end(isClient: boolean) {
  const seen = { runs: [] as Buffer[], data: [] as Buffer[], handshakes: [] as Buffer[], closed: 0 };
  const [ours, theirs] = isClient ? [keys(1), keys(2)] : [keys(2), keys(1)];
  const port = {
    send: (records: Buffer) => void seen.runs.push(records),
    handshake: (record: Buffer) => void seen.handshakes.push(record),
    data: (packet: Buffer) => void seen.data.push(packet),
    closed: () => {
      seen.closed += 1;
    },
  };
  return { ...seen, seen, inside: new DtlsData(port, ours, theirs, isClient) };
}

const clear = (type: number, ...body: number[]) =>
  Buffer.from([type, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, body.length, ...body]);
const HELLO = clear(22, 1, 0, 0, 0);
const FINISHED = clear(22, 20, 0, 0, 0);
const GOODBYE = clear(21, 1, 0);
const FATAL = clear(21, 2, 40);

test('full packets go together, each a record of its own, and one that is shorter ends the run', () => {
  const [client, server] = [end(true), end(false)];
  const sizes = [1228, 1228, 40, 1228, 300, 300, 1500, ...Array.from({ length: 33 }, () => 1228)];
  const packets = sizes.map((size, i) => Buffer.alloc(size, i));
  client.inside.send(packets);
  const runs = client.runs.map((run) => dtlsRecords(run).map((one) => one.length - DTLS_RECORD_BYTES));
  expect(runs).toEqual([
    [1228, 1228, 40],
    [1228, 300],
    [300],
    [1500],
    Array.from({ length: 32 }, () => 1228),
    [1228],
  ]);
  for (const run of client.runs) server.inside.receive(run);
  expect(Buffer.concat(server.data).equals(Buffer.concat(packets))).toBe(true);
});

test('nothing in the clear ends a connection, or begins it anew', () => {
  const [client, server] = [end(true), end(false)];
  for (const one of [HELLO, GOODBYE, FATAL]) {
    client.inside.receive(one);
    server.inside.receive(one);
  }
  client.inside.receive(FINISHED);
  expect([client.handshakes, server.handshakes]).toEqual([[], []]);
  expect(client.seen.closed + server.seen.closed).toBe(0);
});

test('a server repeats the end of its handshake until the client has spoken', () => {
  const [client, server] = [end(true), end(false)];
  server.inside.receive(FINISHED);
  expect(server.handshakes).toEqual([FINISHED]);
  client.inside.send([Buffer.from('word')]);
  server.inside.receive(client.runs[0] as Buffer);
  server.inside.receive(FINISHED);
  expect(server.handshakes).toHaveLength(1);
});
