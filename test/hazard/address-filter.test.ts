import { expect, test } from 'vitest';
import { AwlError } from '../../src/errors.js';
import { silentLogger } from '../../src/log.js';
import { isAllowedTarget } from '../../src/punch/address-filter.js';
import { punch } from '../../src/punch/puncher.js';
import type { Endpoint } from '../../src/util/endpoint.js';
import { UdpSocket } from '../../src/util/udp.js';
import { Random } from '../natsim/random.js';

/** Special-purpose blocks as [first octets], filled up at random. */
const BLOCKS: readonly (readonly number[])[] = [
  [0],
  [10],
  [100, 64],
  [100, 127],
  [127],
  [169, 254],
  [172, 16],
  [172, 31],
  [192, 0, 0],
  [192, 88, 99],
  [192, 168],
  [198, 18],
  [198, 19],
  [224],
  [239],
  [240],
  [255],
];

function special(random: Random): string {
  const block = random.pick(BLOCKS);
  return [0, 1, 2, 3].map((at) => block[at] ?? random.below(256)).join('.');
}

/** The same IPv4 address in the spellings that have slipped through filters elsewhere. */
function spellings(v4: string): string[] {
  const [a = 0, b = 0, c = 0, d = 0] = v4.split('.').map(Number);
  const hex = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  return [
    v4,
    `::ffff:${v4}`,
    `::FFFF:${hex}`,
    `0:0:0:0:0:ffff:${hex}`,
    `::${v4}`,
    `64:ff9b::${hex}`,
    `2002:${hex}::1`,
  ];
}

test('65 536 special addresses in seven spellings: none is a target', () => {
  const random = new Random(2026);
  const allowed: string[] = [];
  for (let n = 0; n < 65_536; n++) {
    for (const address of spellings(special(random))) {
      if (isAllowedTarget({ address, port: 1024 + random.below(64_512) })) allowed.push(address);
    }
  }
  expect(allowed).toEqual([]);
});

test('a punch at any of them is refused before a datagram leaves', async () => {
  const random = new Random(7);
  const socket = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  try {
    let sent = 0;
    // The same interface, with the kernel left out: whatever would leave is counted.
    const spy = new Proxy(socket, {
      get(target, name) {
        if (name === 'send') return () => Promise.resolve(++sent > 0);
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const targets: Endpoint[] = Array.from({ length: 1000 }, () => special(random))
      .flatMap(spellings)
      .map((address) => ({ address, port: 40_000 }));
    targets.push({ address: '203.0.113.1', port: 53 }, { address: '203.0.113.1', port: 0 });
    for (const peer of targets) {
      const error: unknown = await punch({
        socket: spy,
        role: 'invite',
        secret: 1n,
        peer,
        hops: 7,
        timeoutMs: 1000,
        log: silentLogger,
      }).catch((reason: unknown) => reason);
      expect(error instanceof AwlError && error.code).toBe('ADDRESS_REFUSED');
    }
    expect(sent).toBe(0);
  } finally {
    await socket.close();
  }
});
