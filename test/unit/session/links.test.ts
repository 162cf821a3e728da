import { expect, test } from 'vitest';
import { AwlError } from '../../../src/errors.js';
import { createLogger } from '../../../src/log.js';
import type { Envelope, Rendezvous } from '../../../src/rendezvous/types.js';
import { type Delivery, exchangeOnAll } from '../../../src/session/links.js';
import { AsyncQueue } from '../../../src/util/queue.js';

const FILTER = { app: 'test', kind: 'accept', to: {}, from: {} } as const;
const NEVER = new AbortController().signal;

/** A rendezvous of which only the listening matters. */
class FakeLink implements Rendezvous {
  readonly sealing = 'smime';
  readonly letters = new AsyncQueue<Envelope>();
  listening = false;

  constructor(
    readonly name: string,
    readonly failure?: Error,
  ) {}

  async prepare(): Promise<void> {}
  async push(): Promise<void> {}
  async close(): Promise<void> {}

  async *listen(_filter: unknown, signal: AbortSignal): AsyncGenerator<Envelope, void> {
    if (this.failure) throw this.failure;
    this.listening = true;
    signal.addEventListener('abort', () => this.letters.end(), { once: true });
    try {
      yield* this.letters;
    } finally {
      this.listening = false;
    }
  }

  deliver(id: string): void {
    const name = { owner: 'a', pin: 'b' };
    const now = new Date();
    this.letters.push({
      ...{ id, app: 'test', kind: 'accept', from: name, to: name, form: 'smime', receivedAt: now },
      bytes: Buffer.alloc(0),
      ack: async () => {},
    });
  }
}

const dead = (name: string) => new AwlError('RENDEZVOUS_UNREACHABLE', `${name} is dead`);
const hang = () => new Promise<never>(() => {});

function exchange(links: readonly Rendezvous[], send: (link: Rendezvous) => Promise<void>, signal = NEVER) {
  const lines: string[] = [];
  const log = createLogger({ level: 'trace', write: (line) => lines.push(line) });
  return { lines, letters: exchangeOnAll(links, { send, filter: FILTER, log, signal }) };
}

async function first(letters: AsyncGenerator<Delivery, void>): Promise<string> {
  for await (const { link, envelope } of letters) return `${envelope.id} over ${link.name}`;
  return 'nothing';
}

test('a rendezvous that hangs while it connects does not hold up the answer of another one', async () => {
  const [slow, quick] = [new FakeLink('slow'), new FakeLink('quick')];
  quick.deliver('answer');
  const { letters, lines } = exchange([slow, quick], (link) => (link === slow ? hang() : Promise.resolve()));
  expect(await first(letters)).toBe('answer over quick');
  expect(quick.listening).toBe(false);
  expect(lines).toEqual([]);
});

test('one that fails is named once, and the others go on', async () => {
  const links = ['a', 'b', 'c'].map((name) => new FakeLink(name));
  links[2]?.deliver('answer');
  const { letters, lines } = exchange(links, async ({ name }) => {
    if (name !== 'c') throw dead(name);
  });
  expect(await first(letters)).toBe('answer over c');
  expect(lines.map((line) => /going on .*/.exec(line)?.[0])).toEqual([
    'going on without a: RENDEZVOUS_UNREACHABLE: a is dead',
    'going on without b: RENDEZVOUS_UNREACHABLE: b is dead',
  ]);
});

test('one that took the letter but cannot listen is a failure of that one only', async () => {
  const [deaf, good] = [new FakeLink('deaf', dead('deaf')), new FakeLink('good')];
  const { letters, lines } = exchange([deaf, good], async () => {});
  const answer = first(letters);
  while (lines.length === 0) await new Promise((resolve) => setImmediate(resolve));
  good.deliver('late');
  expect(await answer).toBe('late over good');
});

test('when none works the last failure is thrown, and the earlier ones were told', async () => {
  const links = ['a', 'b'].map((name) => new FakeLink(name));
  const { letters, lines } = exchange(links, async ({ name }) => {
    throw dead(name);
  });
  await expect(first(letters)).rejects.toThrow('b is dead');
  expect(lines).toHaveLength(1);
});

test('the sender of a loser is told to stop as soon as there is an answer', async () => {
  const [slow, quick] = [new FakeLink('slow'), new FakeLink('quick')];
  quick.deliver('answer');
  let told: AbortSignal | undefined;
  const letters = exchangeOnAll([slow, quick], {
    send: async (link, signal) => {
      if (link !== slow) return;
      told = signal;
      await hang();
    },
    filter: FILTER,
    log: createLogger({ write: () => {} }),
    signal: NEVER,
  });
  expect(await first(letters)).toBe('answer over quick');
  expect(told?.aborted).toBe(true);
});

test('it ends with its signal, also before anything was sent', async () => {
  const controller = new AbortController();
  const { letters } = exchange([new FakeLink('a')], hang, controller.signal);
  const answer = first(letters);
  controller.abort();
  expect(await answer).toBe('nothing');
  const { letters: late } = exchange([new FakeLink('a')], hang, AbortSignal.abort());
  expect(await first(late)).toBe('nothing');
});
