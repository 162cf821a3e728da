import { SIGNING_TIME_WINDOW_MS } from '../../constants.js';
import { AwlError } from '../../errors.js';
import { formatName, isComplete, matchesName } from '../../identity/names.js';
import { AsyncQueue } from '../../util/queue.js';
import { deadline } from '../../util/sleep.js';
import type { Envelope, Letter, LetterFilter, Rendezvous, RendezvousContext } from '../types.js';
import { orAbort } from './bounded.js';
import { NodeKeeper } from './keeper.js';
import { type DhtLibrary, loadLibrary } from './library.js';
import { DHT_PREPARED_MAX } from './limits.js';
import { Outbox } from './outbox.js';
import { type Parcel, wrapParcel } from './parcel.js';
import { letterId, placeOf } from './place.js';
import { type Carrier, isCarrier, openCarrier } from './private.js';
import { RECORDS_MAX_BYTES } from './records.js';
import type { HyperdhtSettings } from './settings.js';

export interface HyperdhtOptions {
  /** Goes over the library's public interface, as if its inside had changed. */
  readonly recordsOnly?: boolean;
}

type Take = (envelope: Envelope) => void;

class HyperdhtRendezvous implements Rendezvous {
  readonly name = 'hyperdht';
  readonly sealing = 'smime';
  readonly #ctx: RendezvousContext;
  readonly #library: DhtLibrary;
  readonly #carrier: Carrier | undefined;
  readonly #closing = new AbortController();
  readonly #keeper: NodeKeeper;
  readonly #listeners = new Set<Take>();
  /** Answers, for those who listen later. */
  readonly #answers: Envelope[] = [];

  constructor(settings: HyperdhtSettings, ctx: RendezvousContext, library: DhtLibrary, carrier?: Carrier) {
    this.#ctx = ctx;
    this.#library = library;
    this.#carrier = carrier;
    const { log } = ctx;
    this.#keeper = new NodeKeeper({ library, carrier, settings, log, closing: this.#closing.signal });
  }

  async prepare(signal: AbortSignal): Promise<void> {
    const ended = this.#ended(signal);
    ended.throwIfAborted();
    const client = await this.#keeper.open(ended);
    await client.reach(ended);
  }

  async *listen(filter: LetterFilter, signal: AbortSignal): AsyncIterable<Envelope> {
    const ended = this.#ended(signal);
    if (ended.aborted) return;
    const queue = new AsyncQueue<Envelope>();
    const end = () => queue.end();
    ended.addEventListener('abort', end, { once: true });
    const take: Take = (envelope) => {
      if (matches(envelope, filter)) queue.push(envelope);
    };
    const leave = filter.kind === 'invite' ? this.#attend(filter, take) : this.#awaitAnswers(take);
    try {
      for await (const envelope of queue) {
        if (ended.aborted) return;
        yield envelope;
      }
    } finally {
      ended.removeEventListener('abort', end);
      leave();
    }
  }

  async push(letter: Letter, signal: AbortSignal): Promise<void> {
    const ended = this.#ended(signal);
    ended.throwIfAborted();
    if (letter.kind === 'accept') await this.#answer(letter, ended);
    else await this.#invite(letter, ended);
  }

  async close(): Promise<void> {
    if (!this.#closing.signal.aborted) {
      this.#closing.abort(new AwlError('RENDEZVOUS_UNREACHABLE', 'the hyperdht rendezvous was closed'));
    }
    await this.#keeper.close();
  }

  #ended(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.#closing.signal]);
  }

  async #invite(letter: Letter, signal: AbortSignal): Promise<void> {
    const { app, form, bytes, from, to, toKey } = letter;
    if (!toKey) {
      throw new AwlError(
        'USAGE_MISSING',
        `${formatName(to)} can be found in the DHT by its certificate only`,
        {
          hint: 'take the certificate with awl id trust, or use --rendezvous=email',
        },
      );
    }
    const place = placeOf(app, toKey);
    const box = wrapParcel(place.boxKey, 'invite', { form, bytes, names: { from, to } });
    if (!this.#carrier && box.length > RECORDS_MAX_BYTES) {
      throw new AwlError('MESSAGE_TOO_LARGE', `a message of ${bytes.length} bytes is too large for the DHT`);
    }
    await this.prepare(signal);
    const done = new AbortController();
    const id = letterId(box).toString('hex');
    const outbox = new Outbox({
      library: this.#library,
      client: () => this.#keeper.client,
      carrier: this.#carrier,
      place,
      box,
      log: this.#ctx.log,
      onAnswer: (parcel) => this.#deliverAnswer(letter, id, parcel, () => done.abort()),
    });
    // Nobody opens it later than this.
    const fresh = deadline(SIGNING_TIME_WINDOW_MS, () => new Error('the invitation is too old'), signal);
    void outbox.run(AbortSignal.any([fresh.signal, done.signal])).finally(() => fresh.dispose());
  }

  #deliverAnswer(letter: Letter, id: string, { form, bytes }: Parcel, done: () => void): void {
    const { app, from, to, fromKey, toKey } = letter;
    const envelope: Envelope = {
      ...{ app, kind: 'accept', form, bytes, from: to, to: from, answers: id },
      ...(toKey && { fromKey: toKey }),
      ...(fromKey && { toKey: fromKey }),
      id,
      receivedAt: this.#ctx.now(),
      // Whatever else is announced there need not be asked any more.
      ack: async () => done(),
    };
    this.#answers.push(envelope);
    if (this.#answers.length > DHT_PREPARED_MAX) this.#answers.shift();
    for (const listener of this.#listeners) listener(envelope);
  }

  #awaitAnswers(take: Take): () => void {
    this.#answers.forEach(take);
    this.#listeners.add(take);
    return () => this.#listeners.delete(take);
  }

  #attend({ app, to, toKey }: LetterFilter, take: Take): () => void {
    if (!isComplete(to) || !toKey) {
      throw new AwlError(
        'USAGE_MISSING',
        `--host-info must name one identity whose certificate is here, but is "${formatName(to)}": a DHT finds letters by the recipient's key`,
        { hint: 'write --host-info=owner/pin, for example --host-info=me@example.org/laptop' },
      );
    }
    return this.#keeper.openStation().attend(placeOf(app, toKey), (key, { form, bytes, names }) => {
      if (!names) return;
      const receivedAt = this.#ctx.now();
      const content = { app, kind: 'invite', form, bytes, ...names, toKey, receivedAt } as const;
      // Nothing of it lies anywhere.
      take({ ...content, id: key, ack: async () => {} });
    });
  }

  async #answer(letter: Letter, signal: AbortSignal): Promise<void> {
    const { form, bytes, answers, to } = letter;
    const { station } = this.#keeper;
    const answering = station && answers !== undefined && station.answer(answers, { form, bytes });
    if (answering && (await orAbort(answering, signal))) return;
    throw new AwlError('RENDEZVOUS_UNREACHABLE', `${formatName(to)} does not wait for the answer any more`);
  }
}

function matches(envelope: Envelope, filter: LetterFilter): boolean {
  const { app, kind, from, to } = envelope;
  if (app !== filter.app || kind !== filter.kind) return false;
  return (!from || matchesName(from, filter.from)) && matchesName(to, filter.to);
}

/**
 * HyperDHT as the rendezvous: letters travel inside handshakes that its nodes relay (docs/PROTOCOL.md, HyperDHT
 * rendezvous). Nothing is sent before `prepare`, `listen` or `push`.
 * @throws AwlError RENDEZVOUS_UNREACHABLE where the library does not run
 */
export async function openHyperdht(
  settings: HyperdhtSettings,
  ctx: RendezvousContext,
  options: HyperdhtOptions = {},
): Promise<Rendezvous> {
  const library = loadLibrary();
  const opened = options.recordsOnly ? { differs: 'told so' } : openCarrier(library);
  if (isCarrier(opened)) return new HyperdhtRendezvous(settings, ctx, library, opened);
  ctx.log.warning(
    `this is not the HyperDHT that awl was made for (${opened.differs}); letters take a slower way through it`,
  );
  return new HyperdhtRendezvous(settings, ctx, library);
}
