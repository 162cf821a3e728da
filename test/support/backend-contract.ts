import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { silentLogger } from '../../src/log.js';
import type {
  Envelope,
  Letter,
  LetterFilter,
  Rendezvous,
  RendezvousContext,
} from '../../src/rendezvous/types.js';

/** One operator (mail server, folder) on which a backend is put to the test. */
export interface ContractBench {
  /** A fresh backend for one side, not prepared. */
  open(side: 'alice' | 'bob', ctx: RendezvousContext): Promise<Rendezvous>;
  /** Puts something that is no letter, or no acceptable one, where bob's letters arrive. */
  litter(what: 'garbage' | 'empty' | 'huge', app: string): Promise<void>;
  /** Letters (and mails) that lie with the operator for bob. */
  stored(): Promise<number>;
  /** Breaks every connection, as a restart of the operator does. */
  disrupt(): Promise<void>;
  /** Letters nearer in time than this cannot be told old from new. */
  readonly ageMs?: number;
  close(): Promise<void>;
}

export const ALICE = { owner: 'alice@awl.test', pin: 'laptop' } as const;
export const BOB = { owner: 'bob@awl.test', pin: 'nas' } as const;
export const CONTEXT: RendezvousContext = { log: silentLogger, now: () => new Date() };
export const WAIT_MS = 15_000;

let serial = 0;

/** An application id that no other test uses, so that tests can share one operator. */
export function freshApp(): string {
  return `app${process.pid}x${++serial}`;
}

/** An entity as sealing makes it; `text` stands for the base64 of the sealed bytes. */
export function entity(text: string): Uint8Array {
  return Buffer.from(
    `MIME-Version: 1.0\r\nContent-Disposition: attachment; filename="smime.p7m"\r\nContent-Type: application/x-pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"\r\nContent-Transfer-Encoding: base64\r\n\r\n${text}\r\n\r\n`,
  );
}

export function invitation(app: string, text = 'aGVsbG8='): Letter {
  return { app, kind: 'invite', from: ALICE, to: BOB, form: 'smime', bytes: entity(text) };
}

export function filterFor(letter: Letter): LetterFilter {
  return { app: letter.app, kind: letter.kind, from: letter.from, to: letter.to };
}

/** E-mail may change how lines end; nothing else. */
export function canonical(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1').replace(/\r\n/g, '\n').trimEnd();
}

/** Listens in the background; `take(n)` waits for n envelopes, bounded. */
export class Listening {
  readonly got: Envelope[] = [];
  readonly #controller = new AbortController();
  readonly #done: Promise<void>;
  #wake: () => void = () => {};

  constructor(rendezvous: Rendezvous, filter: LetterFilter) {
    this.#done = this.#run(rendezvous.listen(filter, this.#controller.signal));
  }

  async take(count: number, ms = WAIT_MS): Promise<Envelope[]> {
    const until = performance.now() + ms;
    while (this.got.length < count && performance.now() < until) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, Math.max(1, Math.min(200, until - performance.now())));
      });
    }
    return this.got.slice(0, count);
  }

  /** Ends listening; rejects unless the iterator just ends. */
  async stop(): Promise<void> {
    this.#controller.abort(new Error('the test stops listening'));
    await this.#done;
  }

  async #run(envelopes: AsyncIterable<Envelope>): Promise<void> {
    for await (const envelope of envelopes) {
      this.got.push(envelope);
      this.#wake();
    }
  }
}

async function eventually(check: () => Promise<boolean>): Promise<boolean> {
  for (let i = 0; i < 100; i++) {
    if (await check()) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}

/**
 * What an operator may lack by its nature: deleting letters, keeping answers of before `prepare`, finding letters
 * without the recipient's key, carrying anything in clear.
 */
export type Lack = 'deletion' | 'old answers' | 'open filters' | 'plain letters';

/** The cases that every entry of the registry must pass, whatever it carries messages over. */
export function backendContract(
  name: string,
  start: () => Promise<ContractBench>,
  lacks: readonly Lack[] = [],
): void {
  describe(`${name} keeps the rendezvous contract`, () => {
    // What a kind of rendezvous cannot have is no case of it, and so none that was left out.
    const unlessLacking = (lack: Lack): ((title: string, run: () => Promise<void>) => void) =>
      lacks.includes(lack) ? () => {} : test;
    let bench: ContractBench;
    const signal = () => AbortSignal.timeout(WAIT_MS);
    const using = async (
      body: (alice: Rendezvous, bob: Rendezvous) => Promise<void>,
      prepare = true,
    ): Promise<void> => {
      const alice = await bench.open('alice', CONTEXT);
      const bob = await bench.open('bob', CONTEXT);
      try {
        if (prepare) await bob.prepare(signal());
        await body(alice, bob);
      } finally {
        await alice.close();
        await bob.close();
      }
    };

    beforeAll(async () => {
      bench = await start();
    });
    afterAll(() => bench?.close());

    test('a letter arrives as it was sent, with its names', () =>
      using(async (alice, bob) => {
        const letter = invitation(freshApp());
        const listening = new Listening(bob, filterFor(letter));
        await alice.push(letter, signal());
        const [envelope] = await listening.take(1);
        expect(envelope).toMatchObject({
          app: letter.app,
          kind: 'invite',
          from: ALICE,
          to: BOB,
          form: 'smime',
        });
        expect(canonical(envelope?.bytes ?? Buffer.alloc(0))).toBe(canonical(letter.bytes));
        expect(envelope?.id).toBeTruthy();
        expect(Math.abs(Date.now() - (envelope?.receivedAt.getTime() ?? 0))).toBeLessThan(10_000);
        await listening.stop();
      }));

    test('every printable character and long lines come through unchanged', () =>
      using(async (alice, bob) => {
        const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i)).toString('base64');
        const printable = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).join('');
        const text = [
          all,
          `.${printable}`,
          '.',
          '..',
          'From here on',
          `x${'y'.repeat(900)}`,
          '-- ',
          '--almost',
        ].join('\r\n');
        const letter = invitation(freshApp(), text);
        const listening = new Listening(bob, filterFor(letter));
        await alice.push(letter, signal());
        const [envelope] = await listening.take(1);
        expect(canonical(envelope?.bytes ?? Buffer.alloc(0))).toBe(canonical(letter.bytes));
        await listening.stop();
      }));

    unlessLacking('plain letters')(
      'a plain letter arrives as plain, so that it cannot pass for a sealed one',
      () =>
        using(async (alice, bob) => {
          const bytes = Buffer.from('PLEXUS 3.0 203.0.113.10 5021 6168032636984578873');
          const letter: Letter = { ...invitation(freshApp()), form: 'plain', bytes };
          const listening = new Listening(bob, filterFor(letter));
          await alice.push(letter, signal());
          const [envelope] = await listening.take(1);
          expect(envelope?.form).toBe('plain');
          expect(canonical(envelope?.bytes ?? Buffer.alloc(0))).toBe(bytes.toString());
          await listening.stop();
        }),
    );

    test('a letter that arrives between prepare and listen is not missed', () =>
      using(async (alice, bob) => {
        const letter: Letter = { ...invitation(freshApp()), kind: 'accept' };
        await alice.push(letter, signal());
        expect(await eventually(async () => (await bench.stored()) > 0)).toBe(true);
        const listening = new Listening(bob, filterFor(letter));
        expect(await listening.take(1)).toHaveLength(1);
        await listening.stop();
      }));

    unlessLacking('old answers')('an answer from before prepare is old and stays out', () =>
      using(async (alice, bob) => {
        const app = freshApp();
        const old: Letter = { ...invitation(app, 'b2xk'), kind: 'accept' };
        const before = await bench.stored();
        await alice.push(old, signal());
        expect(await eventually(async () => (await bench.stored()) > before)).toBe(true);
        await new Promise((resolve) => setTimeout(resolve, bench.ageMs ?? 0));
        await bob.prepare(signal());
        await alice.push({ ...old, bytes: entity('bmV3') }, signal());
        const listening = new Listening(bob, filterFor(old));
        const [first] = await listening.take(1);
        expect(canonical(first?.bytes ?? Buffer.alloc(0))).toContain('bmV3');
        expect(listening.got).toHaveLength(1);
        await listening.stop();
      }, false),
    );

    test('an invitation whose sender still waits is delivered to an acceptor that starts late', () =>
      using(async (alice, bob) => {
        const letter = invitation(freshApp());
        const before = await bench.stored();
        await alice.push(letter, signal());
        expect(await eventually(async () => (await bench.stored()) > before)).toBe(true);
        await bob.prepare(signal());
        const listening = new Listening(bob, filterFor(letter));
        expect(await listening.take(1)).toHaveLength(1);
        await listening.stop();
      }, false));

    test(
      '50 letters at once all arrive, each once',
      () =>
        using(async (alice, bob) => {
          const app = freshApp();
          const listening = new Listening(bob, filterFor(invitation(app)));
          const texts = Array.from({ length: 50 }, (_, i) => `letter${i}x`);
          for (let i = 0; i < texts.length; i += 10) {
            const some = texts.slice(i, i + 10);
            await Promise.all(
              some.map((text) => alice.push(invitation(app, text), AbortSignal.timeout(30_000))),
            );
          }
          const got = await listening.take(50, 30_000);
          const seen = got.map(({ bytes }) => /letter\d+x/.exec(canonical(bytes))?.[0]);
          expect(new Set(seen)).toEqual(new Set(texts));
          expect(listening.got).toHaveLength(50);
          await listening.stop();
        }),
      60_000,
    );

    test('the same letter sent twice arrives twice: telling replays is not the operator’s job', () =>
      using(async (alice, bob) => {
        const letter = invitation(freshApp());
        const listening = new Listening(bob, filterFor(letter));
        await alice.push(letter, signal());
        await alice.push(letter, signal());
        const got = await listening.take(2);
        expect(new Set(got.map(({ id }) => id)).size).toBe(2);
        await listening.stop();
      }));

    test('letters of another app, kind, sender or recipient are not delivered', () =>
      using(async (alice, bob) => {
        const letter = invitation(freshApp());
        const strangers: Letter[] = [
          { ...letter, app: `${letter.app}x` },
          { ...letter, app: letter.app.slice(0, -1) },
          { ...letter, kind: 'accept' },
          { ...letter, from: { ...ALICE, pin: 'laptop2' } },
          { ...letter, from: { ...ALICE, pin: 'lap' } },
          { ...letter, to: { ...BOB, pin: 'NAS' } },
        ];
        const listening = new Listening(bob, filterFor(letter));
        for (const stranger of strangers) await alice.push(stranger, signal());
        await alice.push(letter, signal());
        expect(await listening.take(1)).toHaveLength(1);
        expect(listening.got.map(({ app, kind, from, to }) => ({ app, kind, from, to }))).toEqual([
          { app: letter.app, kind: 'invite', from: ALICE, to: BOB },
        ]);
        await listening.stop();
      }));

    unlessLacking('open filters')('an open filter takes every sender and recipient', () =>
      using(async (alice, bob) => {
        const letter = invitation(freshApp());
        const listening = new Listening(bob, { app: letter.app, kind: 'invite', from: {}, to: {} });
        await alice.push(letter, signal());
        await alice.push({ ...letter, from: { ...ALICE, pin: 'other' } }, signal());
        const got = await listening.take(2);
        expect(new Set(got.map(({ from }) => from?.pin))).toEqual(new Set(['laptop', 'other']));
        await listening.stop();
      }),
    );

    test('two listeners with different filters each get theirs', () =>
      using(async (alice, bob) => {
        const one = invitation(freshApp());
        const two: Letter = { ...invitation(freshApp()), kind: 'accept' };
        const first = new Listening(bob, filterFor(one));
        const second = new Listening(bob, filterFor(two));
        await alice.push(two, signal());
        await alice.push(one, signal());
        expect((await first.take(1)).map(({ app }) => app)).toEqual([one.app]);
        expect((await second.take(1)).map(({ app }) => app)).toEqual([two.app]);
        expect([first.got.length, second.got.length]).toEqual([1, 1]);
        await first.stop();
        await second.stop();
      }));

    test('garbage, empty and huge messages neither arrive nor hold up a good letter', () =>
      using(async (alice, bob) => {
        const letter = invitation(freshApp());
        const listening = new Listening(bob, filterFor(letter));
        for (const what of ['garbage', 'empty', 'huge'] as const) await bench.litter(what, letter.app);
        await alice.push(letter, signal());
        expect(await listening.take(1)).toHaveLength(1);
        expect(canonical(listening.got[0]?.bytes ?? Buffer.alloc(0))).toBe(canonical(letter.bytes));
        await listening.stop();
      }));

    unlessLacking('deletion')('ack removes the letter, only that one, and never rejects', () =>
      using(async (alice, bob) => {
        const app = freshApp();
        const listening = new Listening(bob, filterFor(invitation(app)));
        const before = await bench.stored();
        await alice.push(invitation(app, 'b25l'), signal());
        await alice.push(invitation(app, 'dHdv'), signal());
        const [first] = await listening.take(2);
        expect(await bench.stored()).toBe(before + 2);
        await first?.ack();
        await first?.ack();
        expect(await eventually(async () => (await bench.stored()) === before + 1)).toBe(true);
        await listening.stop();
        await bob.close();
        await expect(listening.got[1]?.ack()).resolves.toBeUndefined();
      }),
    );

    unlessLacking('deletion')('ack works after its listener has ended', () =>
      using(async (alice, bob) => {
        const letter = invitation(freshApp());
        const before = await bench.stored();
        const listening = new Listening(bob, filterFor(letter));
        await alice.push(letter, signal());
        const [envelope] = await listening.take(1);
        await listening.stop();
        await envelope?.ack();
        expect(await eventually(async () => (await bench.stored()) === before)).toBe(true);
      }),
    );

    test('an aborted signal ends prepare, listen and push at once', () =>
      using(async (alice, bob) => {
        const aborted = AbortSignal.abort(new Error('not today'));
        const letter = invitation(freshApp());
        await expect(bob.prepare(aborted)).rejects.toThrow('not today');
        await expect(alice.push(letter, aborted)).rejects.toThrow('not today');
        const got: Envelope[] = [];
        for await (const envelope of bob.listen(filterFor(letter), aborted)) got.push(envelope);
        expect(got).toEqual([]);
      }, false));

    test('aborting a listener that waits ends its iterator without an error', () =>
      using(async (_alice, bob) => {
        const listening = new Listening(bob, filterFor(invitation(freshApp())));
        await listening.take(1, 300);
        const begun = performance.now();
        await listening.stop();
        expect(performance.now() - begun).toBeLessThan(5000);
        expect(listening.got).toEqual([]);
      }));

    test('close ends listeners, can be called twice, and push after it fails', () =>
      using(async (alice, bob) => {
        const letter = invitation(freshApp());
        const listening = new Listening(bob, filterFor(letter));
        await listening.take(1, 300);
        await bob.close();
        await bob.close();
        await listening.stop();
        await alice.close();
        await expect(alice.push(letter, signal())).rejects.toMatchObject({ code: 'RENDEZVOUS_UNREACHABLE' });
      }));

    test(
      'a listener survives a restart of the operator and gets what arrives after it',
      () =>
        using(async (alice, bob) => {
          const letter = invitation(freshApp());
          const listening = new Listening(bob, filterFor(letter));
          await alice.push({ ...letter, bytes: entity('YmVmb3Jl') }, signal());
          await listening.take(1);
          await bench.disrupt();
          await alice.push({ ...letter, bytes: entity('YWZ0ZXI=') }, AbortSignal.timeout(30_000));
          const got = await listening.take(2, 30_000);
          expect(got.map(({ bytes }) => /YmVmb3Jl|YWZ0ZXI=/.exec(canonical(bytes))?.[0])).toEqual([
            'YmVmb3Jl',
            'YWZ0ZXI=',
          ]);
          await listening.stop();
        }),
      60_000,
    );
  });
}
