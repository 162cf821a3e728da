import { setTimeout as pause } from 'node:timers/promises';
import { AwlError } from '../../errors.js';
import { abreast } from './abreast.js';
import type { DhtKeyPair, DhtNode } from './library.js';
import { DHT_QUERY_RETRIES, DHT_RECORD_BYTES, DHT_RECORDS_MAX } from './limits.js';

const HASH_BYTES = 32;
/** HyperDHT holds requests back above 80 under way; a query has up to 20. */
const ABREAST = 3;
/** The largest box that records take. */
export const RECORDS_MAX_BYTES = DHT_RECORD_BYTES + DHT_RECORDS_MAX * (DHT_RECORD_BYTES - HASH_BYTES);
const OPTIONS = { retries: DHT_QUERY_RETRIES } as const;
const RETRY_MS: readonly number[] = [300, 1_000];

/**
 * Leaves a box in the DHT where whoever knows the key finds it: a mutable record of one byte count, so many hashes of
 * 32 bytes, and the box's beginning; the rest as immutable records under those hashes.
 * @throws AwlError MESSAGE_TOO_LARGE; what the library throws when too few nodes answer
 */
export async function publishBox(node: DhtNode, keyPair: DhtKeyPair, box: Buffer): Promise<void> {
  // Each further record costs its hash in the first.
  const count = Math.max(0, Math.ceil((box.length - DHT_RECORD_BYTES) / (DHT_RECORD_BYTES - HASH_BYTES)));
  const first = DHT_RECORD_BYTES - count * HASH_BYTES;
  if (box.length > RECORDS_MAX_BYTES) {
    throw new AwlError(
      'MESSAGE_TOO_LARGE',
      `a message of ${box.length} bytes is too large for the DHT's records`,
    );
  }
  const rest = Array.from({ length: count }, (_, i) =>
    box.subarray(first + i * DHT_RECORD_BYTES, first + (i + 1) * DHT_RECORD_BYTES),
  );
  const hashes = await abreast(
    rest,
    ABREAST,
    async (bytes) => (await patiently(() => node.immutablePut(bytes, OPTIONS))).hash,
  );
  const record = Buffer.concat([Buffer.from([count]), ...hashes, box.subarray(0, first)]);
  await patiently(() => node.mutablePut(keyPair, record, { ...OPTIONS, seq: 1 }));
}

/** The box that {@link publishBox} left under this key; undefined if there is none, or not all of it. */
export async function fetchBox(node: DhtNode, publicKey: Buffer): Promise<Buffer | undefined> {
  const record = (await node.mutableGet(publicKey, { ...OPTIONS, latest: false }))?.value;
  const count = record?.[0] ?? 0;
  const start = 1 + count * HASH_BYTES;
  if (!record || count > DHT_RECORDS_MAX || record.length <= start) return undefined;
  const hashes = Array.from({ length: count }, (_, i) =>
    record.subarray(1 + i * HASH_BYTES, 1 + (i + 1) * HASH_BYTES),
  );
  const rest = await abreast(hashes, ABREAST, (hash) => node.immutableGet(hash, OPTIONS));
  const parts = rest.flatMap((found) => (found ? [found.value] : []));
  return parts.length === count ? Buffer.concat([record.subarray(start), ...parts]) : undefined;
}

async function patiently<T>(put: () => Promise<T>): Promise<T> {
  for (const ms of RETRY_MS) {
    try {
      return await put();
    } catch {
      await pause(ms);
    }
  }
  return put();
}
