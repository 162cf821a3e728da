import { createHash, randomBytes } from 'node:crypto';
import { INVITE_LOOKBACK_MS, MESSAGE_MAX_BYTES } from '../../constants.js';
import { AwlError, errorText, isAwlError } from '../../errors.js';
import { AsyncQueue } from '../../util/queue.js';
import { sleep, untilAborted } from '../../util/sleep.js';
import { decodeLetter, encodeBounded, fitsFilter, HEAD_MAX_BYTES } from '../letter-head.js';
import type { Envelope, Letter, LetterFilter, Rendezvous, RendezvousContext } from '../types.js';
import { addressesOf, type RedisPlace } from './place.js';
import { openRedis, type RedisLink } from './redis.js';
import type { MeepoSettings } from './settings.js';

/** Letters that lie in one stream; older ones give way, and all of it is forgotten after this time. */
const STREAM_LETTERS = 256;
const STREAM_SECONDS = 600;
/** How long the server may hold a question before it says that there is nothing. */
const BLOCK_MS = 20_000;
const READ_AT_ONCE = 16;
const LETTER_MAX_CHARS = Math.ceil(((MESSAGE_MAX_BYTES + HEAD_MAX_BYTES) * 4) / 3) + 4;
const AGAIN_MS = 250;
/** Letters remembered so that the addresses of one server do not deliver each once. */
const SEEN_MAX = 4096;

/**
 * Where the letters of an app lie: a Redis stream whose name says nothing about the app. Real Meepo nodes listen on
 * `meepo.engine.` and their own id only.
 */
export function streamOf(app: string, kind: Letter['kind']): string {
  const hash = createHash('sha256')
    .update(JSON.stringify(['awl letters', app, kind]))
    .digest('hex');
  return `awl.letters.${hash.slice(0, 40)}`;
}

/** One address of the server: a link to write with, and the server's own clock when we began. */
interface Office {
  readonly address: string;
  readonly link: RedisLink;
  /** Milliseconds of the server's clock, which the ids of letters begin with. */
  readonly preparedAt: number;
}

class MeepoRendezvous implements Rendezvous {
  readonly name = 'meepo';
  readonly sealing = 'smime';
  readonly #place: RedisPlace;
  readonly #ctx: RendezvousContext;
  readonly #closing = new AbortController();
  #offices: Promise<readonly Office[]> | undefined;

  constructor(place: RedisPlace, ctx: RendezvousContext) {
    this.#place = place;
    this.#ctx = ctx;
  }

  async prepare(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#closing.signal.throwIfAborted();
    await this.#open(signal);
  }

  async *listen(filter: LetterFilter, signal: AbortSignal): AsyncIterable<Envelope> {
    const ended = AbortSignal.any([signal, this.#closing.signal]);
    if (ended.aborted) return;
    const letters = new AsyncQueue<Envelope>();
    const seen = new Set<string>();
    const offices = await this.#open(ended);
    for (const office of offices) {
      void this.#read(office, filter, ended, (id, envelope) => {
        if (seen.has(id)) return;
        if (seen.size >= SEEN_MAX) seen.clear();
        seen.add(id);
        letters.push(envelope);
      });
    }
    void untilAborted(ended).then(() => letters.end());
    for await (const envelope of letters) {
      yield envelope;
      if (ended.aborted) return;
    }
  }

  async push(letter: Letter, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#closing.signal.throwIfAborted();
    const data = encodeBounded(letter);
    const stream = streamOf(letter.app, letter.kind);
    const id = randomBytes(12).toString('hex');
    const fields = ['id', id, 'letter', data.toString('base64')];
    const ended = AbortSignal.any([signal, this.#closing.signal]);
    const add = ['XADD', stream, 'MAXLEN', '~', String(STREAM_LETTERS), '*', ...fields];
    const done = (await this.#open(ended)).map(async ({ link }) => {
      await link.command(add, ended);
      await link.command(['EXPIRE', stream, String(STREAM_SECONDS)], ended);
    });
    await Promise.any(done).catch((error: unknown) => {
      throw error instanceof AggregateError ? error.errors[0] : error;
    });
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new AwlError('RENDEZVOUS_UNREACHABLE', 'the meepo rendezvous was closed'));
    for (const { link } of (await this.#offices?.catch(() => [])) ?? []) link.close();
  }

  /** Every address that answers; at least one must. */
  async #open(signal: AbortSignal): Promise<readonly Office[]> {
    this.#offices ??= this.#connect(AbortSignal.any([signal, this.#closing.signal]));
    try {
      return await this.#offices;
    } catch (error) {
      this.#offices = undefined;
      throw error;
    }
  }

  async #connect(signal: AbortSignal): Promise<readonly Office[]> {
    const addresses = await this.#resolve(signal);
    const tries = await Promise.allSettled(
      addresses.map(async (address) => {
        const link = await openRedis(this.#place, { address, log: this.#ctx.log, patient: false }, signal);
        try {
          const [seconds = '', micros = ''] = texts(await link.command(['TIME'], signal));
          const preparedAt = Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
          return { address, link, preparedAt: Number.isFinite(preparedAt) ? preparedAt : Date.now() };
        } catch (error) {
          link.close();
          throw error;
        }
      }),
    );
    const offices = tries.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const failed = tries.find((one) => one.status === 'rejected');
    if (offices.length === 0 && failed) throw failed.reason;
    return offices;
  }

  async #resolve(signal: AbortSignal): Promise<string[]> {
    try {
      return await addressesOf(this.#place.host, signal);
    } catch (cause) {
      signal.throwIfAborted();
      throw new AwlError('RENDEZVOUS_UNREACHABLE', `no address of ${this.#place.host} is known`, {
        hint: 'check the host name in the redis:// URL',
        cause,
      });
    }
  }

  /** Reads one address until the end; a link of its own, since the server holds it while there is nothing. */
  async #read(
    office: Office,
    filter: LetterFilter,
    signal: AbortSignal,
    deliver: (id: string, envelope: Envelope) => void,
  ): Promise<void> {
    const stream = streamOf(filter.app, filter.kind);
    const lookback = filter.kind === 'invite' ? INVITE_LOOKBACK_MS : 0;
    let after = `${Math.max(0, office.preparedAt - lookback - 1)}-0`;
    let link: RedisLink | undefined;
    try {
      while (!signal.aborted) {
        try {
          const options = { address: office.address, log: this.#ctx.log, patient: true };
          link ??= await openRedis(this.#place, options, signal);
          const count = ['COUNT', String(READ_AT_ONCE), 'BLOCK', String(BLOCK_MS)];
          const reply = await link.command(['XREAD', ...count, 'STREAMS', stream, after], signal);
          for (const { at, id, text } of entriesOf(reply)) {
            after = at;
            const envelope = this.#envelope(stream, at, text, filter, office.link);
            if (envelope) deliver(id, envelope);
          }
        } catch (error) {
          if (signal.aborted) return;
          const text = isAwlError(error) ? error.message : errorText(error);
          // Somebody's entry is too large to be read past: go on behind all that lies there.
          if (isAwlError(error, 'MESSAGE_TOO_LARGE')) after = await idOfNow(office.link, after, signal);
          this.#ctx.log.debug(`listening on Redis stops for a moment: ${text}`);
          await sleep(AGAIN_MS, signal).catch(() => {});
        }
      }
    } finally {
      link?.close();
    }
  }

  #envelope(
    stream: string,
    at: string,
    text: string,
    filter: LetterFilter,
    link: RedisLink,
  ): Envelope | undefined {
    const letter = text.length > LETTER_MAX_CHARS ? undefined : decodeLetter(Buffer.from(text, 'base64'));
    if (!letter || letter.bytes.length > MESSAGE_MAX_BYTES) {
      this.#ctx.log.debug(`entry ${at} of a Redis stream is no letter`);
      return undefined;
    }
    if (!fitsFilter(letter, filter)) return undefined;
    const ack = async () => {
      await link.command(['XDEL', stream, at], AbortSignal.timeout(AGAIN_MS)).catch(() => {});
    };
    const receivedAt = new Date(Number(at.split('-')[0]));
    return { ...letter, id: at, receivedAt, ack };
  }
}

/** Now by the server's clock, as the id of an entry; `other` where it does not say. */
async function idOfNow(link: RedisLink, other: string, signal: AbortSignal): Promise<string> {
  const [seconds = ''] = texts(await link.command(['TIME'], signal).catch(() => undefined));
  return /^\d+$/.test(seconds) ? `${Number(seconds) * 1000 + 999}-0` : other;
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

/** Entries of an XREAD reply: `[[stream, [[id, [name, value, ...]], ...]]]`; what has another shape is left out. */
function entriesOf(reply: unknown): { at: string; id: string; text: string }[] {
  const [stream] = Array.isArray(reply) ? reply : [];
  const entries: unknown[] = Array.isArray(stream) && Array.isArray(stream[1]) ? stream[1] : [];
  return entries.flatMap((entry) => {
    if (!Array.isArray(entry) || typeof entry[0] !== 'string' || !/^\d+-\d+$/.test(entry[0])) return [];
    const fields = texts(entry[1]);
    const field = (name: string) =>
      fields[fields.findIndex((one, i) => i % 2 === 0 && one === name) + 1] ?? '';
    return [{ at: entry[0], id: field('id').slice(0, 64) || entry[0], text: field('letter') }];
  });
}

/** Opens the rendezvous over a Redis server such as Meepo uses; nothing is connected yet. */
export async function openMeepo(settings: MeepoSettings, ctx: RendezvousContext): Promise<Rendezvous> {
  return new MeepoRendezvous(settings.redis, ctx);
}
