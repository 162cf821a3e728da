import { randomBytes } from 'node:crypto';
import { silentLogger } from '../../src/log.js';
import { type HyperdhtOptions, openHyperdht } from '../../src/rendezvous/hyperdht/backend.js';
import type { HyperdhtSettings } from '../../src/rendezvous/hyperdht/settings.js';
import type { Envelope, Letter, Rendezvous, RendezvousContext } from '../../src/rendezvous/types.js';

export const ALICE = { owner: 'alice@awl.test', pin: 'laptop' } as const;
export const BOB = { owner: 'bob@awl.test', pin: 'nas' } as const;
/** Stands in for bob's certificate. */
export const BOB_KEY = randomBytes(294);
export const CONTEXT: RendezvousContext = { log: silentLogger, now: () => new Date() };

/** Alice's invitation to bob, as large as sealed ones are. */
export function invitation(bytes: Uint8Array = randomBytes(2200), app = 'test'): Letter {
  return { app, kind: 'invite', from: ALICE, to: BOB, form: 'smime', bytes, toKey: BOB_KEY };
}

/** A bob who answers every invitation with its own bytes, until it is closed. */
export class EchoingBob {
  readonly got: Envelope[] = [];
  readonly link: Rendezvous;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  private constructor(link: Rendezvous, app: string, delayMs: number) {
    this.link = link;
    this.#done = this.#serve(app, delayMs);
  }

  static async start(
    settings: HyperdhtSettings,
    o: HyperdhtOptions & { app?: string; delayMs?: number } = {},
  ): Promise<EchoingBob> {
    const link = await openHyperdht(settings, CONTEXT, o);
    await link.prepare(AbortSignal.timeout(20_000));
    return new EchoingBob(link, o.app ?? 'test', o.delayMs ?? 0);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#done;
    await this.link.close();
  }

  async #serve(app: string, delayMs: number): Promise<void> {
    const filter = { app, kind: 'invite', to: BOB, from: {}, toKey: BOB_KEY } as const;
    for await (const envelope of this.link.listen(filter, this.#stop.signal)) {
      this.got.push(envelope);
      const { app: about, bytes, id } = envelope;
      const answer: Letter = {
        ...{ app: about, kind: 'accept', from: BOB, to: ALICE, form: 'smime', bytes },
        answers: id,
      };
      const push = () => this.link.push(answer, this.#stop.signal).catch(() => {});
      if (delayMs > 0) setTimeout(push, delayMs);
      else await push();
    }
  }
}

/** Pushes `letter` from a prepared alice and waits for the first answer; says how long that took. */
export async function exchange(
  alice: Rendezvous,
  letter: Letter,
  ms = 50_000,
): Promise<{ readonly answer: Envelope; readonly ms: number }> {
  const signal = AbortSignal.timeout(ms);
  const begun = performance.now();
  await alice.push(letter, signal);
  const filter = { app: letter.app, kind: 'accept', to: ALICE, from: BOB } as const;
  for await (const answer of alice.listen(filter, signal)) {
    if (!Buffer.from(answer.bytes).equals(Buffer.from(letter.bytes))) continue;
    const took = performance.now() - begun;
    await answer.ack();
    return { answer, ms: took };
  }
  throw new Error(`no answer within ${ms} ms`);
}
