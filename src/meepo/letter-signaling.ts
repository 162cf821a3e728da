import { AwlError, errorText, isAwlError } from '../errors.js';
import type { IdentityName } from '../identity/names.js';
import type { Logger } from '../log.js';
import type { Envelope, Letter, Rendezvous } from '../rendezvous/types.js';
import { sleep } from '../util/sleep.js';
import { type Descriptor, verifyDescriptor } from '../wire/meepo/descriptor.js';
import { decodeEvent, encodeEvent, type MeepoEvent } from '../wire/meepo/event.js';
import { parseMeepoId } from '../wire/meepo/id.js';
import { meepoSpki } from '../wire/meepo/keys.js';
import { newSession } from './conversation.js';
import { OFFERS_MAX, WIRE_MS } from './limits.js';
import type { AnswerOffer, Signaler } from './signaling.js';
import type { SignalingStatus } from './status.js';

/** The app under which nodes leave each other letters; where they lie follows from app and the recipient's key. */
const APP = 'meepo.engine';
const AGAIN_MS = 5_000;

const nameOf = (id: string): IdentityName => ({ owner: id, pin: 'meepo' });
const keyOf = (id: string): Buffer => meepoSpki(parseMeepoId(id));

export interface LetterSignalingOptions {
  readonly id: string;
  readonly link: Rendezvous;
  readonly answer: AnswerOffer;
  readonly log: Logger;
}

/**
 * Offers and answers as letters of a rendezvous: HyperDHT, where a MeepoID is all that anybody must know and no server
 * is needed. The very events of Meepo travel, so what protects them is the same: signed, and sealed to one key.
 */
export class LetterSignaling implements Signaler {
  readonly name: string;
  readonly #options: LetterSignalingOptions;
  readonly #closing = new AbortController();
  #answering = 0;
  #listening = false;
  /** Letters that were no events. */
  strays = 0;

  constructor(options: LetterSignalingOptions) {
    this.#options = options;
    this.name = options.link.name;
    void this.#attend();
  }

  get status(): SignalingStatus {
    return { name: this.name, ready: this.#listening, strays: this.strays };
  }

  async wire(peer: string, offer: Descriptor, signal: AbortSignal): Promise<Descriptor> {
    const { id, link } = this.#options;
    const done = new AbortController();
    const limit = AbortSignal.timeout(WIRE_MS);
    const ended = AbortSignal.any([signal, this.#closing.signal, limit, done.signal]);
    const session = newSession();
    const filter = { app: APP, kind: 'accept', to: nameOf(id), from: nameOf(peer) } as const;
    try {
      await link.prepare(ended);
      const answer = this.#await(
        link.listen({ ...filter, toKey: keyOf(id), fromKey: keyOf(peer) }, ended),
        session,
      );
      const letter = letterOf('invite', id, peer, { name: 'wire', session, descriptor: offer });
      // Who carries it may hold on to it until somebody takes it: the answer, not the push, says that it arrived.
      const pushed = link.push(letter, ended).then(() => answer);
      const event = await Promise.race([answer, pushed]);
      if (event?.name === 'wired' && event.descriptor) return event.descriptor;
      if (event?.error) throw new AwlError('MEEPO_REFUSED', event.error.slice(0, 300));
      throw new AwlError('MEEPO_UNAVAILABLE', 'Wire timeout: the peer does not answer');
    } catch (error) {
      signal.throwIfAborted();
      if (!limit.aborted) throw error;
      throw new AwlError('MEEPO_UNAVAILABLE', 'Wire timeout: the peer does not answer', {
        hint: 'the other node must run, also without signaling.url',
      });
    } finally {
      done.abort();
    }
  }

  async close(): Promise<void> {
    this.#closing.abort(new AwlError('MEEPO_UNAVAILABLE', 'the node stops'));
    await this.#options.link.close();
  }

  async #await(letters: AsyncIterable<Envelope>, session: number): Promise<MeepoEvent | undefined> {
    for await (const envelope of letters) {
      const event = this.#read(envelope);
      if (event && event.name !== 'wire' && event.session === session) return event;
    }
    return undefined;
  }

  async #attend(): Promise<void> {
    const { id, link, log } = this.#options;
    const { signal } = this.#closing;
    const filter = { app: APP, kind: 'invite', to: nameOf(id), from: {}, toKey: keyOf(id) } as const;
    while (!signal.aborted) {
      try {
        await link.prepare(signal);
        log.info(`signaling over ${link.name}`);
        this.#listening = true;
        for await (const envelope of link.listen(filter, signal)) void this.#reply(envelope);
      } catch (error) {
        if (!signal.aborted) log.warning(`signaling waits: ${errorText(error)}`);
      }
      this.#listening = false;
      await sleep(AGAIN_MS, signal).catch(() => {});
    }
  }

  async #reply(envelope: Envelope): Promise<void> {
    const { id, link, answer, log } = this.#options;
    const event = this.#read(envelope);
    const offer = event?.descriptor;
    if (event?.name !== 'wire' || !offer || this.#answering >= OFFERS_MAX) {
      this.strays += 1;
      return;
    }
    this.#answering += 1;
    const { session } = event;
    const ended = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(WIRE_MS)]);
    try {
      verifyDescriptor(offer);
      const reply = await answer(offer).then(
        (descriptor): MeepoEvent => ({ name: 'wired', session, descriptor }),
        (error: unknown): MeepoEvent => {
          log.debug(`offer of ${offer.ID}: ${errorText(error)}`);
          return { name: 'error', session, error: isAwlError(error) ? error.message : 'internal error' };
        },
      );
      await link.push({ ...letterOf('accept', id, offer.ID, reply), answers: envelope.id }, ended);
      await envelope.ack();
    } catch (error) {
      log.debug(`answering over ${link.name}: ${errorText(error)}`);
    } finally {
      this.#answering -= 1;
    }
  }

  #read(envelope: Envelope): MeepoEvent | undefined {
    try {
      return decodeEvent(Buffer.from(envelope.bytes).toString('base64'));
    } catch {
      this.strays += 1;
      return undefined;
    }
  }
}

/** The event without its base64: letters carry bytes. */
function letterOf(kind: Letter['kind'], from: string, to: string, event: MeepoEvent): Letter {
  return {
    app: APP,
    kind,
    from: nameOf(from),
    to: nameOf(to),
    form: 'smime',
    bytes: Buffer.from(encodeEvent(event), 'base64'),
    toKey: keyOf(to),
    fromKey: keyOf(from),
  };
}
