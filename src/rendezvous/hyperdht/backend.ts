import { DHT_PREPARED_MAX, SIGNING_TIME_WINDOW_MS } from '../../constants.js';
import { AwlError, errorText, isAwlError } from '../../errors.js';
import { formatName, isComplete, matchesName } from '../../identity/names.js';
import { backoffMs } from '../../util/backoff.js';
import { AsyncQueue } from '../../util/queue.js';
import { sleep } from '../../util/sleep.js';
import type { Envelope, Letter, LetterFilter, Rendezvous, RendezvousContext } from '../types.js';
import { type DhtLibrary, loadLibrary } from './library.js';
import { ClientNode, orAbort } from './node.js';
import { Outbox } from './outbox.js';
import { type Parcel, wrapParcel } from './parcel.js';
import { letterId, placeOf } from './place.js';
import { type Carrier, isCarrier, openCarrier } from './private.js';
import type { HyperdhtSettings } from './settings.js';
import { Station } from './station.js';

export interface HyperdhtOptions {
  /** Goes over the library's public interface, as if its inside had changed. */
  readonly recordsOnly?: boolean;
}

class HyperdhtRendezvous implements Rendezvous {
  readonly name = 'hyperdht';
  readonly sealing = 'smime';
  readonly #settings: HyperdhtSettings;
  readonly #ctx: RendezvousContext;
  readonly #library: DhtLibrary;
  readonly #carrier: Carrier | undefined;
  readonly #closing = new AbortController();
  readonly #listeners = new Set<(answer: Envelope) => void>();
  /** Answers, for those who listen later. */
  readonly #answers: Envelope[] = [];
  #client: ClientNode | undefined;
  #opening: Promise<ClientNode> | undefined;
  #station: Station | undefined;
  #renewing: Promise<void> | undefined;

  constructor(settings: HyperdhtSettings, ctx: RendezvousContext, library: DhtLibrary, carrier?: Carrier) {
    this.#settings = settings;
    this.#ctx = ctx;
    this.#library = library;
    this.#carrier = carrier;
  }

  async prepare(signal: AbortSignal): Promise<void> {
    const ended = this.#ended(signal);
    ended.throwIfAborted();
    await (await this.#open(ended)).reach(ended);
  }

  async *listen(filter: LetterFilter, signal: AbortSignal): AsyncIterable<Envelope> {
    const ended = this.#ended(signal);
    const { to, toKey } = filter;
    if (filter.kind === 'invite' && (!isComplete(to) || !toKey)) {
      throw new AwlError(
        'USAGE_MISSING',
        `--host-info needs owner and pin of one identity whose certificate is here, but is "${formatName(to)}": in a DHT letters are found by the recipient's key`,
        {
          hint: 'write --host-info=owner/pin, for example --host-info=me@example.org/laptop; make it with awl id init',
        },
      );
    }
    if (ended.aborted) return;
    const queue = new AsyncQueue<Envelope>();
    const end = () => queue.end();
    ended.addEventListener('abort', end, { once: true });
    const take = (envelope: Envelope) => {
      if (matches(envelope, filter)) queue.push(envelope);
    };
    const leave =
      filter.kind === 'invite' && toKey
        ? await this.#attend(filter.app, toKey, take, ended)
        : this.#awaitAnswers(take);
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
    await this.#opening?.catch(() => {});
    const station = this.#station;
    await this.#client?.close(station && (() => station.leave()));
  }

  #ended(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.#closing.signal]);
  }

  /** The node, opened by whoever needs it first. */
  async #open(signal: AbortSignal): Promise<ClientNode> {
    if (this.#client) return this.#client;
    this.#opening ??= ClientNode.open(
      this.#library,
      this.#settings,
      this.#carrier,
      this.#closing.signal,
    ).then((client) => {
      this.#client = client;
      return client;
    });
    const opening = this.#opening;
    opening.catch(() => {
      if (this.#opening === opening) this.#opening = undefined;
    });
    return orAbort(opening, signal);
  }

  async #invite(letter: Letter, signal: AbortSignal): Promise<void> {
    const { app, form, bytes, from, to, toKey } = letter;
    if (!toKey) {
      throw new AwlError(
        'USAGE_MISSING',
        `the certificate of ${formatName(to)} is needed to find it in the DHT`,
        {
          hint: 'take it with awl id trust, or use --rendezvous=email',
        },
      );
    }
    await this.prepare(signal);
    const place = placeOf(app, toKey);
    const box = wrapParcel(place.boxKey, 'invite', { form, bytes, names: { from, to } });
    const id = letterId(box).toString('hex');
    const done = new AbortController();
    const outbox = new Outbox({
      library: this.#library,
      node: () => this.#current().node,
      carrier: this.#carrier,
      place,
      box,
      log: this.#ctx.log,
      onAnswer: (parcel) => this.#deliverAnswer(letter, id, parcel, () => done.abort()),
    });
    // Nobody opens it later than this.
    const fresh = AbortSignal.timeout(SIGNING_TIME_WINDOW_MS);
    void outbox.run(AbortSignal.any([signal, done.signal, fresh]));
  }

  #current(): ClientNode {
    if (!this.#client) throw new AwlError('INTERNAL', 'the DHT node is not open');
    return this.#client;
  }

  #deliverAnswer(letter: Letter, id: string, { form, bytes }: Parcel, done: () => void): void {
    const { app, from, to, fromKey, toKey } = letter;
    const envelope: Envelope = {
      ...{ app, kind: 'accept', form, bytes, from: to, to: from, answers: id },
      ...(toKey && { fromKey: toKey }),
      ...(fromKey && { toKey: fromKey }),
      id: `${id.slice(0, 16)}-${this.#answers.length}`,
      receivedAt: this.#ctx.now(),
      ack: async () => done(),
    };
    this.#answers.push(envelope);
    if (this.#answers.length > DHT_PREPARED_MAX) this.#answers.shift();
    for (const listener of this.#listeners) listener(envelope);
  }

  #awaitAnswers(take: (envelope: Envelope) => void): () => void {
    this.#answers.forEach(take);
    this.#listeners.add(take);
    return () => this.#listeners.delete(take);
  }

  async #attend(
    app: string,
    toKey: Uint8Array,
    take: (envelope: Envelope) => void,
    signal: AbortSignal,
  ): Promise<() => void> {
    const station = this.#openStation(signal);
    const leave = station.attend(placeOf(app, toKey), (key, { form, bytes, names }) => {
      if (!names) return;
      const { from, to } = names;
      const receivedAt = this.#ctx.now();
      take({
        ...{ app, kind: 'invite', form, bytes, from, to, toKey, receivedAt },
        id: key,
        ack: async () => {},
      });
    });
    return leave;
  }

  #openStation(signal: AbortSignal): Station {
    if (this.#station) return this.#station;
    const station = new Station({
      library: this.#library,
      carrier: this.#carrier,
      log: this.#ctx.log,
      onStale: () => this.#renew(),
    });
    this.#station = station;
    void this.#start(station, signal);
    return station;
  }

  /** Opens the station as soon as there is a node; tries until the rendezvous is closed. */
  async #start(station: Station, signal: AbortSignal): Promise<void> {
    const ended = this.#closing.signal;
    for (let attempt = 0; !ended.aborted; attempt++) {
      try {
        const client = await this.#open(ended);
        await station.start(client.node);
        return;
      } catch (error) {
        if (ended.aborted) return;
        this.#ctx.log.debug(`the DHT node does not start: ${errorText(error)}`);
        if (isAwlError(error, 'UDP_BIND') && signal.aborted) return;
        await sleep(backoffMs(attempt), ended).catch(() => {});
      }
    }
  }

  /** A new node in place of one that does not come back by itself. */
  #renew(): void {
    const station = this.#station;
    if (this.#renewing || !station || this.#closing.signal.aborted) return;
    this.#ctx.log.info('the DHT cannot be reached; starting the node anew');
    const before = this.#client;
    this.#client = undefined;
    this.#opening = undefined;
    this.#renewing = (async () => {
      await before?.close();
      await this.#start(station, this.#closing.signal);
    })().finally(() => {
      this.#renewing = undefined;
    });
  }

  async #answer(letter: Letter, signal: AbortSignal): Promise<void> {
    const { form, bytes, answers } = letter;
    const station = this.#station;
    const taken =
      station && answers !== undefined && (await orAbort(station.answer(answers, { form, bytes }), signal));
    if (taken) return;
    throw new AwlError(
      'RENDEZVOUS_UNREACHABLE',
      `${formatName(letter.to)} does not wait for the answer any more`,
    );
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
