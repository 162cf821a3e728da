import { randomBytes } from 'node:crypto';
import { AwlError, errorText, isAwlError } from '../errors.js';
import type { Logger } from '../log.js';
import { addressesOf, type RedisPlace } from '../rendezvous/meepo/place.js';
import { openRedis, type RedisLink } from '../rendezvous/meepo/redis.js';
import { formatHostPort } from '../util/host-port.js';
import { deadline, sleep, untilAborted } from '../util/sleep.js';
import { type Descriptor, verifyDescriptor } from '../wire/meepo/descriptor.js';
import { decodeEvent, EVENT_MAX_CHARS, encodeEvent, type MeepoEvent } from '../wire/meepo/event.js';
import { newSession } from './conversation.js';
import { OFFERS_MAX, OFFERS_SEEN, WIRE_MS } from './limits.js';
import { Seen } from './seen.js';
import type { AnswerOffer, Signaler } from './signaling.js';
import type { SignalingStatus } from './status.js';

/** How often the server's name is looked up again (Meepo's own time), and how soon if that failed. */
const RESOLVE_MS = 61_000;
const RESOLVE_AGAIN_MS = 2_000;
/** A connection over which we do not hear ourselves so soon is dead: a NAT forgot it, or the network is another one now. */
const SILENT_MS = 2_000;
/** How often that is looked at where nothing else goes on. */
const PULSE_MS = 20_000;
/** How long an offer waits for a connection that was opened anew: another way may carry it. */
const AGAIN_MS = 500;
/** How soon one that is closed meanwhile is not waited for. */
const CLOSED_MS = 50;
/** What we say to ourselves begins with this; base64 of an event never does. */
const PULSE = 'awl.pulse.';
const CHANNEL = 'meepo.engine.';

export interface RedisSignalingOptions {
  readonly id: string;
  readonly place: RedisPlace;
  readonly answer: AnswerOffer;
  readonly log: Logger;
}

/** Links to one address: one that hears, one that says. */
interface Office {
  readonly ear: RedisLink;
  readonly mouth: RedisLink;
  /** When the ear hears. */
  readonly heard: Promise<void>;
}

/**
 * Offers and answers over Redis, as Meepo 0.7 has it: each node hears `meepo.engine.<id>`, and everything is said at
 * every address of the server. It need not be there when the node starts, and may go and come back.
 */
export class RedisSignaling implements Signaler {
  readonly name = 'redis';
  readonly #options: RedisSignalingOptions;
  readonly #closing = new AbortController();
  readonly #offices = new Map<string, Office>();
  readonly #waiting = new Map<number, (event: MeepoEvent) => void>();
  readonly #seen = new Seen(OFFERS_SEEN);
  readonly #pulses = new Map<string, () => void>();
  #answering = 0;
  /** Messages that were no events, or came before. */
  strays = 0;

  constructor(options: RedisSignalingOptions) {
    this.#options = options;
    void this.#keep();
    void this.#beat();
  }

  /** Servers that answer now. */
  get ready(): number {
    return [...this.#offices.values()].filter(({ ear, mouth }) => ear.ready && mouth.ready).length;
  }

  get status(): SignalingStatus {
    return { name: this.name, where: this.where, ready: this.ready > 0, strays: this.strays };
  }

  get where(): string {
    return formatHostPort(this.#options.place);
  }

  async wire(peer: string, offer: Descriptor, signal: AbortSignal): Promise<Descriptor> {
    const session = newSession();
    const ended = AbortSignal.any([signal, this.#closing.signal, AbortSignal.timeout(WIRE_MS)]);
    try {
      const answer = new Promise<MeepoEvent>((resolve, reject) => {
        this.#waiting.set(session, resolve);
        ended.addEventListener('abort', () => reject(this.#unanswered(signal)), { once: true });
      });
      answer.catch(() => {});
      await this.#say(peer, { name: 'wire', session, descriptor: offer }, ended, () =>
        this.#unanswered(signal),
      );
      const { name, descriptor, error } = await answer;
      if (name === 'wired' && descriptor) return descriptor;
      throw new AwlError(
        'MEEPO_REFUSED',
        error?.slice(0, 300) ?? 'the peer answers nothing that can be used',
      );
    } finally {
      this.#waiting.delete(session);
    }
  }

  async refresh(): Promise<void> {
    await Promise.all([...this.#offices].map(([address, office]) => this.#check(address, office)));
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new AwlError('MEEPO_UNAVAILABLE', 'the node stops'));
    for (const address of [...this.#offices.keys()]) this.#leave(address);
  }

  #unanswered(signal: AbortSignal): Error {
    if (signal.aborted) return signal.reason as Error;
    if (this.#closing.signal.aborted) return this.#closing.signal.reason as Error;
    const why = this.ready > 0 ? 'the peer does not answer' : `Redis ${this.where} is away`;
    return new AwlError('MEEPO_UNAVAILABLE', `Wire timeout: ${why}`, {
      hint: 'the other node must run with the same signaling.url',
    });
  }

  /** Says it everywhere; one address that takes it is enough. */
  async #say(peer: string, event: MeepoEvent, signal: AbortSignal, late: () => Error): Promise<void> {
    const text = encodeEvent(event);
    while (this.#offices.size === 0) {
      await sleep(50, signal).catch(() => {
        throw late();
      });
    }
    const said = [...this.#offices.values()].map(({ mouth }) =>
      mouth.command(['PUBLISH', `${CHANNEL}${peer}`, text], signal),
    );
    await Promise.any(said).catch((error: unknown) => {
      if (signal.aborted) throw late();
      throw error instanceof AggregateError ? error.errors[0] : error;
    });
  }

  /** Follows the addresses of the server's name until the end. */
  async #keep(): Promise<void> {
    const { signal } = this.#closing;
    const { place, log } = this.#options;
    let told = false;
    while (!signal.aborted) {
      try {
        const addresses = await addressesOf(place.host, signal);
        for (const address of addresses) if (!this.#offices.has(address)) await this.#open(address);
        for (const [address, { ear, mouth }] of this.#offices) {
          if (!addresses.includes(address) && !(ear.ready && mouth.ready)) this.#leave(address);
        }
        told = false;
        await sleep(RESOLVE_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!told) log.warning(`signaling waits: ${errorText(error)}`);
        told = true;
        await sleep(RESOLVE_AGAIN_MS, signal).catch(() => {});
      }
    }
  }

  async #open(address: string): Promise<void> {
    const { place, log, id } = this.#options;
    const { signal } = this.#closing;
    const onReady = () => log.info(`signaling over Redis ${this.where}`);
    const ear = await openRedis(place, { address, log, patient: true, onReady }, signal);
    const mouth = await openRedis(place, { address, log, patient: true }, signal);
    const heard = ear.subscribe(`${CHANNEL}${id}`, (text) => void this.#heard(text), signal);
    this.#offices.set(address, { ear, mouth, heard });
    heard.catch((error: unknown) => {
      if (!signal.aborted && this.#offices.get(address)?.ear === ear) {
        log.warning(`signaling: ${errorText(error)}`);
      }
    });
  }

  #leave(address: string): void {
    const office = this.#offices.get(address);
    this.#offices.delete(address);
    office?.ear.close();
    office?.mouth.close();
  }

  async #beat(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await sleep(PULSE_MS, signal).catch(() => {});
      await this.refresh();
    }
  }

  /** Says something to ourselves; what does not come back is opened anew. */
  async #check(address: string, { ear, mouth }: Office): Promise<void> {
    const { signal } = this.#closing;
    // What is not connected comes back by itself.
    if (!ear.ready || !mouth.ready) return;
    const word = `${PULSE}${randomBytes(9).toString('base64url')}`;
    const came = new Promise<void>((resolve) => this.#pulses.set(word, resolve));
    const limit = deadline(SILENT_MS, () => new Error('it is silent'), signal);
    const late = untilAborted(limit.signal).then(() => Promise.reject(limit.signal.reason));
    late.catch(() => {});
    const over = new AbortController();
    const closed = (async () => {
      while (ear.ready && mouth.ready) await sleep(CLOSED_MS, over.signal);
    })().catch(() => late);
    try {
      const said = mouth.command(['PUBLISH', `${CHANNEL}${this.#options.id}`, word], limit.signal);
      await Promise.race([said.then(() => came), late, closed]);
    } catch (error) {
      if (signal.aborted || this.#offices.get(address)?.ear !== ear) return;
      this.#options.log.debug(`Redis ${this.where} is opened anew: ${errorText(error)}`);
      this.#leave(address);
      // Fails only where the node ends.
      await this.#open(address).catch(() => {});
      const again = AbortSignal.any([signal, AbortSignal.timeout(AGAIN_MS)]);
      await Promise.race([this.#offices.get(address)?.heard, untilAborted(again)]).catch(() => {});
    } finally {
      over.abort();
      limit.dispose();
      this.#pulses.delete(word);
    }
  }

  async #heard(text: string): Promise<void> {
    if (text.startsWith(PULSE)) {
      this.#pulses.get(text)?.();
      return;
    }
    let event: MeepoEvent;
    try {
      if (text.length > EVENT_MAX_CHARS) throw new RangeError('too large');
      event = decodeEvent(text);
    } catch {
      this.strays += 1;
      return;
    }
    const { name, session, descriptor } = event;
    if (name !== 'wire') {
      // Answers of all addresses are the same one; the first counts.
      this.#waiting.get(session)?.(event);
      this.#waiting.delete(session);
      return;
    }
    if (!descriptor || this.#answering >= OFFERS_MAX) {
      this.strays += 1;
      return;
    }
    // The signature is in the key: a stranger who guesses sessions shuts nobody out.
    if (!this.#seen.add(`${session}.${descriptor.UserData['sig'] ?? ''}`)) return;
    this.#answering += 1;
    try {
      await this.#reply(session, descriptor);
    } finally {
      this.#answering -= 1;
    }
  }

  async #reply(session: number, offer: Descriptor): Promise<void> {
    const ended = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(WIRE_MS)]);
    const late = () => new Error('too late');
    try {
      verifyDescriptor(offer);
    } catch {
      // Whoever it names did not send it and is not bothered.
      this.strays += 1;
      return;
    }
    try {
      const descriptor = await this.#options.answer(offer);
      await this.#say(offer.ID, { name: 'wired', session, descriptor }, ended, late);
    } catch (error) {
      const text = isAwlError(error) ? error.message : 'internal error';
      this.#options.log.debug(`offer of ${offer.ID}: ${errorText(error)}`);
      await this.#say(offer.ID, { name: 'error', session, error: text }, ended, late).catch(() => {});
    }
  }
}
