import { generateKeyPair, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { signDat } from '../wire/opendht-value.js';
import type { Letter, Rendezvous } from './types.js';

/** What smallest RSA keys OpenDHT takes. */
const RSA_BITS = 2048;
const CONTENT_BYTES = 900;

/**
 * Sends a letter to an identity made up for it, over the prepared backend itself, and waits until it comes back; both are
 * forgotten with it. Nobody else listens there, and nothing in it means anything.
 * @returns milliseconds from sending to arrival
 * @throws AwlError as `push` does; the signal's reason
 */
export async function roundTrip(link: Rendezvous, signal: AbortSignal): Promise<number> {
  const letter = await dummy(link);
  const over = new AbortController();
  const ended = AbortSignal.any([signal, over.signal]);
  const { app, kind, from, to, toKey } = letter;
  const letters = link
    .listen({ app, kind, from, to, ...(toKey && { toKey }) }, ended)
    [Symbol.asyncIterator]();
  const arrival = letters.next();
  arrival.catch(() => {});
  const begun = performance.now();
  try {
    await link.push(letter, ended);
    await arrival;
    signal.throwIfAborted();
    return performance.now() - begun;
  } finally {
    over.abort();
    await letters.return?.();
  }
}

async function dummy({ sealing }: Rendezvous): Promise<Letter> {
  const pin = randomBytes(8).toString('hex');
  const common = {
    app: `doctor ${pin}`,
    kind: 'invite',
    from: { owner: 'doctor', pin },
    to: { owner: 'doctor', pin },
  } as const;
  const content = randomBytes(CONTENT_BYTES);
  if (sealing === 'smime') return { ...common, form: 'smime', bytes: content, toKey: randomBytes(32) };
  const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: RSA_BITS });
  const owner = publicKey.export({ type: 'spki', format: 'der' });
  const { dat } = signDat({ owner, data: content }, privateKey);
  return { ...common, form: 'opendht', bytes: dat, toKey: owner };
}
