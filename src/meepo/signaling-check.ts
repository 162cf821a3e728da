import { randomBytes } from 'node:crypto';
import { AwlError } from '../errors.js';
import type { Logger } from '../log.js';
import { addressesOf, type RedisPlace } from '../rendezvous/meepo/place.js';
import { openRedis, type RedisLink } from '../rendezvous/meepo/redis.js';

/**
 * Does over every address of a Redis server what a node does: hears a channel, and says something there.
 * @returns addresses that carried it, and the milliseconds that the first one took from the connection on
 * @throws AwlError RENDEZVOUS_UNREACHABLE, RENDEZVOUS_REFUSED, RENDEZVOUS_UNTRUSTED; the signal's reason
 */
export async function tryRedis(
  place: RedisPlace,
  log: Logger,
  signal: AbortSignal,
): Promise<{ readonly addresses: number; readonly ms: number }> {
  const begun = performance.now();
  const addresses = await addressesOf(place.host, signal).catch((cause: unknown) => {
    signal.throwIfAborted();
    throw new AwlError('RENDEZVOUS_UNREACHABLE', `no address of ${place.host} is known`, {
      hint: 'check the host name in signaling.url',
      cause,
    });
  });
  const tries = addresses.map(async (address) => {
    const links: RedisLink[] = [];
    const open = async () => {
      const link = await openRedis(place, { address, log, patient: false }, signal);
      links.push(link);
      return link;
    };
    try {
      const [ear, mouth] = [await open(), await open()];
      // No node's channel: their names are MeepoIDs.
      const channel = `meepo.engine.doctor-${randomBytes(8).toString('hex')}`;
      const heard = new Promise<void>((resolve, reject) => {
        ear
          .subscribe(channel, () => resolve(), signal)
          .then(() => mouth.command(['PUBLISH', channel, ''], signal).catch(reject), reject);
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
      await heard;
      return Math.round(performance.now() - begun);
    } finally {
      for (const link of links) link.close();
    }
  });
  const done = await Promise.allSettled(tries);
  const times = done.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failed = done.find((one) => one.status === 'rejected');
  if (times.length === 0 && failed) throw failed.reason;
  return { addresses: times.length, ms: Math.min(...times) };
}
