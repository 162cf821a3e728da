import { expect, test } from 'vitest';
import { isPlausible, publicAddress, resolveAll } from '../../../../src/rendezvous/hyperdht/addresses.js';
import { loadLibrary } from '../../../../src/rendezvous/hyperdht/library.js';

const never = new AbortController().signal;
const failed = (names: readonly string[], why: string) => new Error(`${names.join()}: ${why}`);

test.each([
  ['203.0.113.7', 49737, true, true],
  ['10.1.2.3', 49737, false, true],
  ['127.0.0.1', 49737, false, true],
  ['100.64.0.1', 1, false, true],
  ['203.0.113.7', 0, false, false],
  ['0.0.0.0', 1, false, false],
  ['224.0.0.251', 5353, false, false],
  ['255.255.255.255', 1, false, false],
  ['::1', 1, false, false],
  ['evil.example', 1, false, false],
])(
  '%s:%i as a relay that a stranger names: public network %s, private network %s',
  (host, port, ...expected) => {
    expect([isPlausible({ host, port }, false), isPlausible({ host, port }, true)]).toEqual(expected);
  },
);

test('the library’s public nodes can be read', () => {
  const nodes = loadLibrary().BOOTSTRAP.map(publicAddress);
  expect(nodes.length).toBeGreaterThan(0);
  for (const node of nodes) expect(isPlausible(node, false)).toBe(true);
});

test('addresses stay, names are looked up, what is unknown is left out as long as anything is known', async () => {
  const some = [
    { host: '192.0.2.1', port: 1 },
    { host: 'localhost', port: 2 },
    { host: 'no-such-host.invalid', port: 3 },
    { host: '2001:db8::1', port: 4 },
  ];
  expect(await resolveAll(some, never, failed)).toEqual([
    { host: '192.0.2.1', port: 1 },
    { host: '127.0.0.1', port: 2 },
  ]);
  await expect(resolveAll(some.slice(3), never, failed)).rejects.toThrow(
    '[2001:db8::1]:4: HyperDHT speaks IPv4 only',
  );
});
