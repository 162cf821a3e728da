import { createRequire } from 'node:module';
import { AwlError } from '../../errors.js';

/**
 * What this room needs of redis 6.3.1 and it does not offer: a bound on one reply. Its decoder gathers whatever length the
 * server announces, and any client of that server may publish half a gigabyte to us. The version is pinned for this
 * file's sake.
 */
interface InsideDecoder {
  onReply: (...args: unknown[]) => unknown;
  onErrorReply: (...args: unknown[]) => unknown;
  onPush: (...args: unknown[]) => unknown;
  write(chunk: Uint8Array): void;
}
interface InsideModule {
  readonly Decoder: { readonly prototype: InsideDecoder };
}

/** Sixteen of the largest letters, and more than any node says, have a tenth of this. */
export const REPLY_MAX_BYTES = 32 * 1024 * 1024;
const HEARERS = ['onReply', 'onErrorReply', 'onPush'] as const;

let bounded = false;

/** From now on a decoder throws MESSAGE_TOO_LARGE when that much came without a reply being complete. Idempotent. */
export function boundReplies(): void {
  if (bounded) return;
  bounded = true;
  const ofRedis = createRequire(import.meta.resolve('redis'));
  const { Decoder } = ofRedis('@redis/client/dist/lib/RESP/decoder.js') as InsideModule;
  const write = Decoder.prototype.write;
  const waiting = new WeakMap<InsideDecoder, number>();
  Decoder.prototype.write = function (this: InsideDecoder, chunk: Uint8Array): void {
    if (!waiting.has(this)) {
      for (const name of HEARERS) {
        const own = this[name];
        this[name] = (...args: unknown[]) => {
          waiting.set(this, 0);
          return own.apply(this, args);
        };
      }
    }
    const bytes = (waiting.get(this) ?? 0) + chunk.length;
    waiting.set(this, bytes);
    if (bytes > REPLY_MAX_BYTES) {
      waiting.set(this, 0);
      throw new AwlError('MESSAGE_TOO_LARGE', 'the Redis server says more at once than anybody needs');
    }
    write.call(this, chunk);
  };
}
