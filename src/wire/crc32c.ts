/** Castagnoli's polynomial, its bits reversed (RFC 9260 appendix A). */
const POLYNOMIAL = 0x82f6_3b78;

/** `TABLES[n][b]` is what byte b does to the sum when n bytes follow it: eight bytes are taken in one step. */
const TABLES: readonly Int32Array[] = (() => {
  const first = new Int32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let sum = byte;
    for (let bit = 0; bit < 8; bit++) sum = sum & 1 ? (sum >>> 1) ^ POLYNOMIAL : sum >>> 1;
    first[byte] = sum;
  }
  const tables = [first];
  for (let n = 1; n < 8; n++) {
    const before = tables[n - 1] as Int32Array;
    tables.push(before.map((sum) => (sum >>> 8) ^ (first[sum & 0xff] as number)));
  }
  return tables;
})();
const [T0, T1, T2, T3, T4, T5, T6, T7] = TABLES as Int32Array[] & { length: 8 };

/** CRC32C of the bytes as an unsigned number (RFC 9260 section 6.8). */
export function crc32c(bytes: Uint8Array): number {
  let sum = -1;
  let at = 0;
  for (const end = bytes.length - 7; at < end; at += 8) {
    sum =
      T7![(sum ^ bytes[at]!) & 0xff]! ^
      T6![((sum >>> 8) ^ bytes[at + 1]!) & 0xff]! ^
      T5![((sum >>> 16) ^ bytes[at + 2]!) & 0xff]! ^
      T4![(sum >>> 24) ^ bytes[at + 3]!]! ^
      T3![bytes[at + 4]!]! ^
      T2![bytes[at + 5]!]! ^
      T1![bytes[at + 6]!]! ^
      T0![bytes[at + 7]!]!;
  }
  for (; at < bytes.length; at++) sum = (sum >>> 8) ^ T0![(sum ^ bytes[at]!) & 0xff]!;
  return ~sum >>> 0;
}
