/** A 64-bit word as two unsigned halves: BigInt would take ten times as long for every datagram. */
interface Word {
  high: number;
  low: number;
}

const LOW = 0xffff_ffffn;

function wordOf(value: bigint): Word {
  return { high: Number((value >> 32n) & LOW), low: Number(value & LOW) };
}

function bswap(x: number): number {
  return (x << 24) | ((x & 0xff00) << 8) | ((x >>> 8) & 0xff00) | (x >>> 24);
}

/** Replaces `key` by rotr64(key + salt, ((key + salt) & 0x3f) | 1) XOR salt. */
function mix(key: Word, salt: Word): void {
  const low = (key.low >>> 0) + salt.low;
  let a = ((key.high >>> 0) + salt.high + (low > 0xffff_ffff ? 1 : 0)) | 0;
  let b = low | 0;
  const turn = (b & 0x3f) | 1;
  if (turn > 32) [a, b] = [b, a];
  const by = turn & 31;
  key.high = ((a >>> by) | (b << (32 - by))) ^ salt.high;
  key.low = ((b >>> by) | (a << (32 - by))) ^ salt.low;
}

/**
 * XORs everything behind the first 8 bytes with the key stream of `secret` and `salt`, in place; doing it twice
 * undoes it (spec plexus h.1). The chain reads each key word in the byte order of a little-endian host.
 */
function applyKeys(data: Buffer, secret: bigint, salt: bigint): void {
  const saltWord = wordOf(salt);
  const key = wordOf(secret);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let at = 8;
  for (; ; at += 8) {
    mix(key, saltWord);
    if (at + 8 > data.length) break;
    view.setInt32(at, view.getInt32(at) ^ key.high);
    view.setInt32(at + 4, view.getInt32(at + 4) ^ key.low);
    const high = bswap(key.low);
    key.low = bswap(key.high);
    key.high = high;
  }
  for (let i = 0; at + i < data.length; i++) {
    const half = i < 4 ? key.high : key.low;
    data[at + i] = (data[at + i] ?? 0) ^ ((half >>> (24 - 8 * (i & 3))) & 0xff);
  }
}

/**
 * Masks a datagram in place: bytes 0 to 7 become `salt` XOR `secret`, the rest is XORed with the key stream.
 * A secret of 0 leaves it clear with a salt of 0. This hides nothing from who tries (spec plexus i.7).
 */
export function maskDatagram(data: Buffer, secret: bigint, salt: bigint): void {
  data.writeBigUInt64BE(secret === 0n ? 0n : salt ^ secret, 0);
  if (secret !== 0n) applyKeys(data, secret, salt);
}

/** The clear form of a datagram of 8 bytes or more, its salt field set to 0, and the salt. `data` stays as it is. */
export function unmaskDatagram(data: Uint8Array, secret: bigint): { readonly plain: Buffer; salt: bigint } {
  const plain = Buffer.from(data);
  const first = plain.readBigUInt64BE(0);
  plain.fill(0, 0, 8);
  if (secret === 0n) return { plain, salt: first };
  const salt = first ^ secret;
  applyKeys(plain, secret, salt);
  return { plain, salt };
}
