import { SEGMENTS_MAX } from './volley.js';

/** What a receiver of volleys has, and how it fares. */
export interface VolleyReport {
  /** Rises with each report: the newest counts, and no older one after it. */
  readonly serial: number;
  /** All volleys below this number are there. */
  readonly next: number;
  /** What is not listed below this number is not there; of what is beyond, the report says nothing. */
  readonly seen: number;
  /** Between the arrival of the newest segment and this report, ms. */
  readonly delayMs: number;
  /** Bytes that may wait for the receiver in its kernel. */
  readonly room: number;
  readonly parts: readonly ReportPart[];
}

/** Whole volleys in a row, or which segments of one are there. */
export type ReportPart =
  | { readonly number: number; readonly run: number }
  | { readonly number: number; readonly got: Uint8Array };

const HEAD_BYTES = 4 + 6 + 6 + 2 + 4;
const PART_BYTES = 3;
const DELAY_UNIT_MS = 0.1;
/** So that a report fits every path. */
const REPORT_MAX_BYTES = 1100;
export const REPORT_RUN_MAX = 65_535;

/**
 * `serial (u32) || next (u48) || seen (u48) || delay (u16, 0.1 ms) || room (u32) || parts`, where a part is
 * `number - next (u16) || 0 || run (u16)` or `number - next (u16) || segments (u8) || a bit for each, lowest first`.
 * Parts that do not fit are left out, and `seen` then ends where they began.
 */
export function encodeReport(report: VolleyReport): Buffer {
  const bytes = Buffer.alloc(REPORT_MAX_BYTES);
  let at = HEAD_BYTES;
  let { seen } = report;
  for (const part of report.parts) {
    const size = PART_BYTES + ('run' in part ? 2 : (part.got.length + 7) >> 3);
    if (at + size > REPORT_MAX_BYTES) {
      seen = part.number;
      break;
    }
    bytes.writeUInt16BE(part.number - report.next, at);
    if ('run' in part) {
      bytes.writeUInt16BE(part.run, at + PART_BYTES);
    } else {
      bytes[at + 2] = part.got.length;
      for (const [index, there] of part.got.entries()) {
        const place = at + PART_BYTES + (index >> 3);
        if (there) bytes[place] = (bytes[place] as number) | (1 << (index & 7));
      }
    }
    at += size;
  }
  bytes.writeUInt32BE(report.serial);
  bytes.writeUIntBE(report.next, 4, 6);
  bytes.writeUIntBE(seen, 10, 6);
  bytes.writeUInt16BE(Math.min(0xffff, Math.round(report.delayMs / DELAY_UNIT_MS)), 16);
  bytes.writeUInt32BE(Math.min(0xffff_ffff, report.room), 18);
  return bytes.subarray(0, at);
}

/** Undefined for anything that no {@link encodeReport} writes; never throws. */
export function decodeReport(bytes: Buffer): VolleyReport | undefined {
  if (bytes.length < HEAD_BYTES) return undefined;
  const next = bytes.readUIntBE(4, 6);
  const seen = bytes.readUIntBE(10, 6);
  if (seen < next) return undefined;
  const parts: ReportPart[] = [];
  let from = next;
  for (let at = HEAD_BYTES; at < bytes.length; ) {
    if (at + PART_BYTES > bytes.length) return undefined;
    const number = next + bytes.readUInt16BE(at);
    const segments = bytes[at + 2] as number;
    const size = PART_BYTES + (segments === 0 ? 2 : (segments + 7) >> 3);
    if (number < from || segments > SEGMENTS_MAX || at + size > bytes.length) return undefined;
    if (segments === 0) {
      const run = bytes.readUInt16BE(at + PART_BYTES);
      parts.push({ number, run });
      from = number + run;
    } else {
      const base = at + PART_BYTES;
      parts.push({
        number,
        got: Uint8Array.from(
          { length: segments },
          (_, i) => ((bytes[base + (i >> 3)] as number) >> (i & 7)) & 1,
        ),
      });
      from = number + 1;
    }
    if (from > seen) return undefined;
    at += size;
  }
  return {
    serial: bytes.readUInt32BE(),
    next,
    seen,
    delayMs: bytes.readUInt16BE(16) * DELAY_UNIT_MS,
    room: bytes.readUInt32BE(18),
    parts,
  };
}
