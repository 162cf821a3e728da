import { randomBytes } from 'node:crypto';
import type { Logger } from '../log.js';
import type { RedisPlace } from '../rendezvous/meepo/place.js';
import { openRedis, type RedisLink } from '../rendezvous/meepo/redis.js';
import { deadline, sleep, untilAborted } from '../util/sleep.js';

/** A connection over which we do not hear ourselves so soon is dead: a NAT forgot it, or the network is another one now. */
const SILENT_MS = 2_000;
/** How soon one that is closed meanwhile is not waited for. */
const CLOSED_MS = 50;
/** What we say to ourselves begins with this; base64 of an event never does. */
const PULSE = 'awl.pulse.';

export interface OfficeOptions {
  readonly address: string;
  /** What it hears. */
  readonly channel: string;
  readonly hear: (text: string) => void;
  /** It hears now, for the first time or again. */
  readonly onReady: () => void;
  readonly log: Logger;
}

/** @throws the signal's reason */
export async function openOffice(
  place: RedisPlace,
  options: OfficeOptions,
  signal: AbortSignal,
): Promise<RedisOffice> {
  const { address, log, onReady } = options;
  const ear = await openRedis(place, { address, log, patient: true, onReady }, signal);
  const mouth = await openRedis(place, { address, log, patient: true }, signal);
  return new RedisOffice(ear, mouth, options, signal);
}

/** Links to one address of a Redis server: one that hears, one that says. */
export class RedisOffice {
  /** When the ear hears. */
  readonly heard: Promise<void>;
  readonly #ear: RedisLink;
  readonly #mouth: RedisLink;
  readonly #channel: string;
  readonly #pulses = new Map<string, () => void>();

  constructor(ear: RedisLink, mouth: RedisLink, { channel, hear }: OfficeOptions, signal: AbortSignal) {
    this.#ear = ear;
    this.#mouth = mouth;
    this.#channel = channel;
    const take = (text: string) => (text.startsWith(PULSE) ? this.#pulses.get(text)?.() : hear(text));
    this.heard = ear.subscribe(channel, take, signal);
  }

  get ready(): boolean {
    return this.#ear.ready && this.#mouth.ready;
  }

  async say(channel: string, text: string, signal: AbortSignal): Promise<void> {
    await this.#mouth.command(['PUBLISH', channel, text], signal);
  }

  /** Says something to ourselves. @throws Error if it does not come back, and nothing was seen to be closed */
  async check(signal: AbortSignal): Promise<void> {
    // What is not connected comes back by itself.
    if (!this.ready) return;
    const word = `${PULSE}${randomBytes(9).toString('base64url')}`;
    const came = new Promise<void>((resolve) => this.#pulses.set(word, resolve));
    const limit = deadline(SILENT_MS, () => new Error('it is silent'), signal);
    const late = untilAborted(limit.signal).then(() => Promise.reject(limit.signal.reason));
    late.catch(() => {});
    const over = new AbortController();
    const closed = (async () => {
      while (this.ready) await sleep(CLOSED_MS, over.signal);
    })().catch(() => late);
    try {
      await Promise.race([this.say(this.#channel, word, limit.signal).then(() => came), late, closed]);
    } finally {
      over.abort();
      limit.dispose();
      this.#pulses.delete(word);
    }
  }

  close(): void {
    this.#ear.close();
    this.#mouth.close();
  }
}
