import { AwlError, errorText, isAwlError } from '../errors.js';
import type { Logger } from '../log.js';
import { addressesOf, type RedisPlace } from '../rendezvous/meepo/place.js';
import { formatHostPort } from '../util/host-port.js';
import { sleep, untilAborted } from '../util/sleep.js';
import { type Descriptor, verifyDescriptor } from '../wire/meepo/descriptor.js';
import { decodeEvent, EVENT_MAX_CHARS, encodeEvent, type MeepoEvent } from '../wire/meepo/event.js';
import { newSession } from './conversation.js';
import { OFFERS_MAX, OFFERS_SEEN, WIRE_MS } from './limits.js';
import { openOffice, type RedisOffice } from './redis-office.js';
import { Seen } from './seen.js';
import type { AnswerOffer, Signaler } from './signaling.js';
import type { SignalingStatus } from './status.js';

/** How often the server's name is looked up again (Meepo's own time), and how soon if that failed. */
const RESOLVE_MS = 61_000;
const RESOLVE_AGAIN_MS = 2_000;
/** How often that is looked at where nothing else goes on. */
const PULSE_MS = 20_000;
/** How long an offer waits for a connection that was opened anew: another way may carry it. */
const AGAIN_MS = 500;
const CHANNEL = 'meepo.engine.';

export interface RedisSignalingOptions {
  readonly id: string;
  readonly place: RedisPlace;
  readonly answer: AnswerOffer;
  /** All addresses of the server's name; by default as DNS and the system have it. */
  readonly lookup?: typeof addressesOf;
  readonly log: Logger;
}

/**
 * Offers and answers over Redis, as Meepo 0.7 has it: each node hears `meepo.engine.<id>`, and everything is said at
 * every address of the server. It need not be there when the node starts, and may go and come back.
 */
export class RedisSignaling implements Signaler {
  readonly name = 'redis';
  readonly #options: RedisSignalingOptions;
  readonly #closing = new AbortController();
  readonly #offices = new Map<string, RedisOffice>();
  readonly #waiting = new Map<number, (event: MeepoEvent) => void>();
  readonly #seen = new Seen(OFFERS_SEEN);
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
    return [...this.#offices.values()].filter(({ ready }) => ready).length;
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
    const said = [...this.#offices.values()].map((office) => office.say(`${CHANNEL}${peer}`, text, signal));
    await Promise.any(said).catch((error: unknown) => {
      if (signal.aborted) throw late();
      throw error instanceof AggregateError ? error.errors[0] : error;
    });
  }

  /** Follows the addresses of the server's name until the end. */
  async #keep(): Promise<void> {
    const { signal } = this.#closing;
    const { place, log, lookup = addressesOf } = this.#options;
    let told = false;
    while (!signal.aborted) {
      try {
        const addresses = await lookup(place.host, signal);
        for (const address of addresses) if (!this.#offices.has(address)) await this.#open(address);
        for (const [address, { ready }] of this.#offices) {
          if (!addresses.includes(address) && !ready) this.#leave(address);
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
    const hear = (text: string) => void this.#heard(text);
    const office = await openOffice(
      place,
      { address, channel: `${CHANNEL}${id}`, hear, onReady, log },
      signal,
    );
    this.#offices.set(address, office);
    office.heard.catch((error: unknown) => {
      if (!signal.aborted && this.#offices.get(address) === office) {
        log.warning(`signaling: ${errorText(error)}`);
      }
    });
  }

  #leave(address: string): void {
    this.#offices.get(address)?.close();
    this.#offices.delete(address);
  }

  async #beat(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await sleep(PULSE_MS, signal).catch(() => {});
      await this.refresh();
    }
  }

  /** What we do not hear ourselves over is opened anew. */
  async #check(address: string, office: RedisOffice): Promise<void> {
    const { signal } = this.#closing;
    try {
      await office.check(signal);
    } catch (error) {
      if (signal.aborted || this.#offices.get(address) !== office) return;
      this.#options.log.debug(`Redis ${this.where} is opened anew: ${errorText(error)}`);
      this.#leave(address);
      // Fails only where the node ends.
      await this.#open(address).catch(() => {});
      const again = AbortSignal.any([signal, AbortSignal.timeout(AGAIN_MS)]);
      await Promise.race([this.#offices.get(address)?.heard, untilAborted(again)]).catch(() => {});
    }
  }

  async #heard(text: string): Promise<void> {
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
