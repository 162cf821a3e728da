import { once } from 'node:events';
import { expect, test } from 'vitest';
import { Channel, type ChannelPort } from '../../../src/tunnel/channel.js';

interface FakePort extends ChannelPort {
  writable: boolean;
  credit: number;
  readonly log: string[];
  readonly waiting: (() => void)[];
}

function fakePort(credit = 1_000_000): FakePort {
  const log: string[] = [];
  const waiting: (() => void)[] = [];
  const port: FakePort = {
    writable: true,
    credit,
    log,
    waiting,
    send(bytes) {
      const count = Math.min(bytes.length, port.credit);
      port.credit -= count;
      if (count > 0) log.push(`send ${count}`);
      return count;
    },
    consumed: (bytes) => void log.push(`consumed ${bytes}`),
    end: () => void log.push('end'),
    reset: () => void log.push('reset'),
    whenWritable: (call) => void waiting.push(call),
  };
  return port;
}
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('a write waits for credit, and for the network', async () => {
  const port = fakePort(10);
  const channel = new Channel(port);
  let written = false;
  channel.write(Buffer.alloc(15), () => {
    written = true;
  });
  expect(port.log).toEqual(['send 10']);
  port.writable = false;
  port.credit = 5;
  channel.credit();
  expect(port.log).toEqual(['send 10']);
  port.writable = true;
  port.waiting.shift()?.();
  await turn();
  expect(port.log).toEqual(['send 10', 'send 5']);
  expect(written).toBe(true);
});

test('what nobody reads is not reported as consumed', async () => {
  const port = fakePort();
  const channel = new Channel(port);
  for (let i = 0; i < 10; i++) channel.data(Buffer.alloc(50_000));
  await turn();
  expect(port.log).toEqual([]);
  channel.resume();
  await turn();
  expect(port.log).toEqual(Array(10).fill('consumed 50000'));
});

test('crumbs out of large records do not keep the records alive', async () => {
  const channel = new Channel(fakePort());
  const pieces = 16_384;
  for (let i = 0; i < pieces; i++)
    channel.data(
      Buffer.allocUnsafeSlow(65_536)
        .fill(i % 251, 7, 8)
        .subarray(7, 8),
    );
  channel.ended();
  // Small pieces may share a pool of Node's, which is larger with each Node.
  const held = new Set<ArrayBufferLike>();
  const got: number[] = [];
  channel.on('data', (chunk: Buffer) => {
    held.add(chunk.buffer);
    got.push(...chunk);
  });
  await once(channel, 'end');
  expect(got).toEqual(Array.from({ length: pieces }, (_, i) => i % 251));
  expect([...held].reduce((sum, { byteLength }) => sum + byteLength, 0)).toBeLessThan(400_000);
});

test('destroying a channel that is not over resets it; one that is over says nothing more', async () => {
  const [cut, whole] = [fakePort(), fakePort()];
  const channel = new Channel(cut);
  channel.destroy();
  expect(cut.log).toEqual(['reset']);
  const other = new Channel(whole);
  other.resume();
  other.end('x');
  other.ended();
  await once(other, 'close');
  expect(whole.log).toEqual(['send 1', 'end']);
});

test('a reset behind the end lets everything that came before be read', async () => {
  const port = fakePort(0);
  const channel = new Channel(port);
  let deaf = 0;
  channel.on('deaf', () => deaf++);
  channel.write('never taken');
  channel.data(Buffer.from('last words'));
  channel.ended();
  channel.reset();
  expect(deaf).toBe(1);
  const words: Buffer[] = [];
  channel.on('data', (data) => words.push(data));
  await once(channel, 'end');
  expect(Buffer.concat(words).toString()).toBe('last words');
  channel.end();
  await once(channel, 'close');
  expect(port.log).not.toContain('reset');
});

test('a reset before the end is an error at once', async () => {
  const channel = new Channel(fakePort());
  channel.reset();
  const [error] = await once(channel, 'error');
  expect(error).toMatchObject({ name: 'ChannelError', refused: false });
});

test('what is offered is sent or copied before its memory is used again, and no more is asked for until there is room', async () => {
  const port = fakePort(10);
  const sent: string[] = [];
  const { send } = port;
  port.send = (bytes) => {
    const count = send(bytes);
    if (count > 0) sent.push(Buffer.from(bytes.subarray(0, count)).toString());
    return count;
  };
  const channel = new Channel(port);
  const memory = Buffer.from('abcdefghijklmno');
  let again = 0;
  const offer = (bytes: Uint8Array) => channel.offer(bytes, () => again++);
  expect(offer(memory.subarray(0, 8))).toBe(true);
  expect(offer(memory)).toBe(false);
  memory.fill('X');
  port.credit = 100;
  channel.credit();
  await turn();
  expect([sent, again]).toEqual([['abcdefgh', 'ab', 'cdefghijklmno'], 1]);
  port.writable = false;
  const late = Buffer.from('late');
  expect(offer(late)).toBe(false);
  late.fill('X');
  port.writable = true;
  for (const call of port.waiting.splice(0)) call();
  await turn();
  expect([sent.at(-1), again]).toEqual(['late', 2]);
  channel.destroy();
  expect(offer(memory)).toBe(true);
  expect(sent).toHaveLength(4);
});

test('an outlet gets what arrives in order with what waited before it, and what it keeps is not used again', async () => {
  const port = fakePort();
  const channel = new Channel(port);
  const got: string[] = [];
  let open = true;
  channel.on('data', (data: Buffer) => got.push(`read ${data}`));
  channel.outlet = (bytes, keep) => {
    if (!open) return false;
    keep();
    got.push(`outlet ${Buffer.from(bytes)}`);
    return true;
  };
  await turn();
  let kept = 0;
  const data = (text: string) => channel.data(new Uint8Array(Buffer.from(text)), () => kept++);
  data('one');
  open = false;
  data('two');
  channel.pause();
  open = true;
  data('three');
  channel.resume();
  data('four');
  await turn();
  data('five');
  expect(got).toEqual(['outlet one', 'read two', 'read three', 'read four', 'outlet five']);
  expect(port.log).toHaveLength(5);
  expect(kept).toBeGreaterThanOrEqual(4);
});
