import { randomInt } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { OPENDHT_ANNOUNCEMENTS_MAX, OPENDHT_BACKLOG_MAX, OPENDHT_PUSH_MS } from '../../constants.js';
import { AwlError, isAwlError } from '../../errors.js';
import { formatName, isComplete } from '../../identity/names.js';
import { backoffMs } from '../../util/backoff.js';
import { AsyncQueue } from '../../util/queue.js';
import { deadline, sleep } from '../../util/sleep.js';
import { letterKey } from '../../wire/opendht-value.js';
import type { Envelope, Letter, LetterFilter, LetterKind, Rendezvous, RendezvousContext } from '../types.js';
import { Announcement } from './announcement.js';
import { LetterGate } from './gate.js';
import { DhtNetwork } from './network.js';
import type { OpendhtSettings } from './settings.js';
import { Subscription } from './subscription.js';
import { PROCESS_VALUE_IDS, sideId } from './value-ids.js';

/** plexus' subjects, spec a.5. */
const DEFAULT_TOKENS = { invite: 'invite', accept: 'accept' } as const;
/** Seconds: a plexus acceptor may take no lower id of ours for as long as that. */
const ID_LEAP_MAX = 600;
const VALUE_ID = /^[1-9]\d{0,19}$/;

/** Waits of the OpenDHT backend; tests shorten them. */
export interface OpendhtTiming {
  readonly pushMs: number;
}

class OpendhtRendezvous implements Rendezvous {
  readonly name = 'opendht';
  readonly sealing = 'opendht';
  readonly #settings: OpendhtSettings;
  readonly #ctx: RendezvousContext;
  readonly #timing: OpendhtTiming;
  readonly #network: DhtNetwork;
  readonly #closing = new AbortController();
  readonly #invited = new Set<bigint>();
  /** What is being announced, oldest first. */
  readonly #announcing = new Map<AbortController, Promise<void>>();
  #since: Date | undefined;
  #joined = false;

  constructor(settings: OpendhtSettings, ctx: RendezvousContext, timing: OpendhtTiming) {
    this.#settings = settings;
    this.#ctx = ctx;
    this.#timing = timing;
    this.#network = new DhtNetwork(settings, ctx.log);
  }

  async prepare(signal: AbortSignal): Promise<void> {
    const ended = this.#ended(signal);
    ended.throwIfAborted();
    this.#since = this.#ctx.now();
    await this.#network.join(ended);
    this.#joined = true;
  }

  async *listen(filter: LetterFilter, signal: AbortSignal): AsyncIterable<Envelope> {
    const { to, toKey } = filter;
    if (!isComplete(to) || !toKey) throw incomplete(filter);
    const ended = this.#ended(signal);
    if (ended.aborted) return;
    try {
      if (!this.#joined) await this.prepare(ended);
    } catch (error) {
      if (ended.aborted) return;
      throw error;
    }
    const since = this.#since ?? this.#ctx.now();
    const gate = new LetterGate({ filter, to, toKey, since, invited: this.#invited });
    const letters = new AsyncQueue<Envelope>();
    let waiting = 0;
    const over = new AbortController();
    const stop = this.#ended(AbortSignal.any([signal, over.signal]));
    const subscription = new Subscription({
      network: this.#network,
      key: this.#key(toKey, filter.app, filter.kind),
      onValue: (value) => {
        // What is too much now comes again: a value that was not let in is not remembered.
        if (waiting >= OPENDHT_BACKLOG_MAX) return;
        const letter = gate.admit(value, this.#ctx.now());
        if (!letter) return;
        waiting++;
        letters.push(letter);
      },
      log: this.#ctx.log,
      signal: stop,
    });
    const running = subscription.run().then(
      () => letters.end(),
      (error: unknown) => letters.end(error),
    );
    try {
      for await (const letter of letters) {
        if (ended.aborted) return;
        waiting--;
        yield letter;
      }
    } finally {
      over.abort();
      await running;
    }
  }

  async push(letter: Letter, signal: AbortSignal): Promise<void> {
    const ended = this.#ended(signal);
    ended.throwIfAborted();
    const { toKey, app, kind } = letter;
    if (letter.form !== 'opendht' || !toKey) {
      throw new AwlError('INTERNAL', `OpenDHT carries sealed values to a key, not ${letter.form} letters`);
    }
    if (!this.#joined) await this.prepare(ended);
    const over = new AbortController();
    const key = this.#key(toKey, app, kind);
    const answered = VALUE_ID.test(letter.answers ?? '') ? BigInt(letter.answers ?? '') : undefined;
    const announcement = new Announcement({
      network: this.#network,
      key,
      dat: Buffer.from(letter.bytes),
      valueId: answered ?? this.#newId(key, kind),
      anotherId: (nth) =>
        answered === undefined ? this.#newId(key, kind, nth) : sideId(answered, randomInt(2 ** 31)),
      log: this.#ctx.log,
      signal: this.#ended(over.signal),
    });
    const onAbort = () => over.abort();
    ended.addEventListener('abort', onAbort, { once: true });
    try {
      await this.#publish(announcement, ended);
    } catch (error) {
      over.abort();
      throw error;
    } finally {
      ended.removeEventListener('abort', onAbort);
    }
    this.#keep(announcement, over);
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new AwlError('RENDEZVOUS_UNREACHABLE', 'the OpenDHT rendezvous was closed'));
    await Promise.all(this.#announcing.values());
    await this.#network.close();
  }

  /** Until one node has it: nodes may be starting anew just now. */
  async #publish(announcement: Announcement, signal: AbortSignal): Promise<void> {
    const limit = deadline(
      this.#timing.pushMs,
      () =>
        new AwlError('RENDEZVOUS_UNREACHABLE', 'no OpenDHT node took the message', {
          hint: 'check that UDP gets out of this network and that the nodes of --dht-bootstrap run',
        }),
      signal,
    );
    try {
      for (let attempt = 0; ; attempt++) {
        limit.signal.throwIfAborted();
        if (await announcement.publish()) return;
        limit.signal.throwIfAborted();
        await sleep(backoffMs(attempt), limit.signal);
        await this.#network.join(limit.signal).catch((error: unknown) => {
          limit.signal.throwIfAborted();
          if (!isAwlError(error)) throw error;
        });
      }
    } finally {
      limit.dispose();
    }
  }

  /** Goes on announcing in the background; the oldest give way. */
  #keep(announcement: Announcement, over: AbortController): void {
    const running = announcement.keep().finally(() => this.#announcing.delete(over));
    this.#announcing.set(over, running);
    for (const oldest of this.#announcing.keys()) {
      if (this.#announcing.size <= OPENDHT_ANNOUNCEMENTS_MAX) break;
      oldest.abort();
      this.#announcing.delete(oldest);
    }
  }

  /** The second of now; the first time that it was taken the next, after that one that nobody can foresee. */
  #newId(key: Buffer, kind: LetterKind, nth = 0): bigint {
    const ahead = nth > 1 ? randomInt(ID_LEAP_MAX) : 0;
    const id = PROCESS_VALUE_IDS.next(key, this.#ctx.now(), ahead);
    if (kind === 'invite') this.#invited.add(id);
    return id;
  }

  #key(recipient: Uint8Array, app: string, kind: LetterKind): Buffer {
    return letterKey(recipient, app, (this.#settings.tokens ?? DEFAULT_TOKENS)[kind]);
  }

  /** Aborts with `signal`, or when the rendezvous is closed; any number of questions may listen to it. */
  #ended(signal: AbortSignal): AbortSignal {
    const ended = AbortSignal.any([signal, this.#closing.signal]);
    setMaxListeners(0, ended);
    return ended;
  }
}

function incomplete({ to }: LetterFilter): AwlError {
  return new AwlError(
    'USAGE_MISSING',
    `OpenDHT needs owner and pin in --host-info, but it is "${formatName(to)}"`,
    { hint: 'the place where invitations are looked for is made from the certificate of one identity' },
  );
}

/** OpenDHT as plexus uses it (spec d): letters are signed values under a key made from the recipient's certificate. */
export async function openOpendht(
  settings: OpendhtSettings,
  ctx: RendezvousContext,
  timing: OpendhtTiming = { pushMs: OPENDHT_PUSH_MS },
): Promise<Rendezvous> {
  if (settings.bootstrap.length === 0) {
    throw new AwlError('USAGE_MISSING', 'OpenDHT needs a node to begin with', {
      hint: 'name one with --dht-bootstrap=host:port',
    });
  }
  return new OpendhtRendezvous(settings, ctx, timing);
}
