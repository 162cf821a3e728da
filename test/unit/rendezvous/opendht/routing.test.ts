import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { OPENDHT_TABLE_MAX } from '../../../../src/constants.js';
import { byDistance, closest, distance, RoutingTable } from '../../../../src/rendezvous/opendht/routing.js';

const id = (n: number) => createHash('sha1').update(String(n)).digest();
const contact = (n: number, address = `203.0.113.${n % 250}`) => ({
  id: id(n),
  endpoint: { address, port: 4000 + (n % 60_000) },
});
const TARGET = id(-1);

test('nodes are ordered by the XOR of their id and the target, high bits first', () => {
  const near = { id: Buffer.from('0100', 'hex') };
  const far = { id: Buffer.from('8000', 'hex') };
  const exact = { id: Buffer.from('0000', 'hex') };
  expect(byDistance([far, near, exact], Buffer.from('0000', 'hex'))).toEqual([exact, near, far]);
  expect(distance(near.id, far.id)).toEqual(Buffer.from('8100', 'hex'));
});

test('one public address holds two of the nearest places at most, however many ids it claims', () => {
  const sybils = Array.from({ length: 50 }, (_, n) => ({
    id: Buffer.concat([TARGET.subarray(0, 19), Buffer.from([n])]),
    endpoint: { address: '198.51.100.1', port: 5000 + n },
  }));
  const honest = Array.from({ length: 20 }, (_, n) => contact(n));
  const nearest = closest([...sybils, ...honest], TARGET);
  expect(nearest).toHaveLength(8);
  expect(nearest.filter(({ endpoint }) => endpoint.address === '198.51.100.1')).toHaveLength(2);
});

test('a network of one machine may have all its nodes on one address', () => {
  const local = Array.from({ length: 20 }, (_, n) => contact(n, '127.0.0.1'));
  expect(closest(local, TARGET)).toHaveLength(8);
});

test('the table keeps the nodes that answered last, and no more than it may', () => {
  const table = new RoutingTable();
  for (let n = 0; n < OPENDHT_TABLE_MAX + 50; n++) table.answered(id(n), contact(n).endpoint);
  expect(table.size).toBe(OPENDHT_TABLE_MAX);
  expect(table.has(contact(10).endpoint)).toBe(false);
  expect(table.has(contact(OPENDHT_TABLE_MAX + 49).endpoint)).toBe(true);
});

test('a node that is silent twice in a row is forgotten, one that answers in between is not', () => {
  const table = new RoutingTable();
  const { endpoint } = contact(1);
  table.answered(id(1), endpoint);
  table.silent(endpoint);
  table.answered(id(1), endpoint);
  table.silent(endpoint);
  expect(table.has(endpoint)).toBe(true);
  table.silent(endpoint);
  expect(table.has(endpoint)).toBe(false);
  table.silent(endpoint);
  expect(table.size).toBe(0);
});

test('a node that came back under another id has one entry', () => {
  const table = new RoutingTable();
  table.answered(id(1), contact(1).endpoint);
  table.answered(id(2), contact(1).endpoint);
  expect(table.closest(TARGET, 8).map((node) => node.id)).toEqual([id(2)]);
});
