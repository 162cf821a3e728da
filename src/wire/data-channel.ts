/** How data channels are opened on SCTP streams (RFC 8832), and what a message is (RFC 8831 section 8). */

export const PROTOCOL = { control: 50, text: 51, binary: 53, textEmpty: 56, binaryEmpty: 57 } as const;

const OPEN = 3;
const ACK = 2;
const OPEN_BYTES = 12;
const LABEL_MAX_BYTES = 1024;

/** `OPEN | type (u8) | priority (u16) | reliability (u32) | lengths of label and protocol (u16) | label | protocol`. */
export function encodeChannelOpen(label: string): Buffer {
  const text = Buffer.from(label);
  const head = Buffer.alloc(OPEN_BYTES);
  head[0] = OPEN;
  head.writeUInt16BE(text.length, 8);
  return Buffer.concat([head, text]);
}

export const CHANNEL_ACK = Buffer.from([ACK]);

/** What a control message says; undefined if it is none. */
export function readChannelControl(bytes: Buffer): { readonly label: string } | 'ack' | undefined {
  if (bytes[0] === ACK) return 'ack';
  if (bytes[0] !== OPEN || bytes.length < OPEN_BYTES) return undefined;
  const end = OPEN_BYTES + bytes.readUInt16BE(8);
  if (end > bytes.length || end > OPEN_BYTES + LABEL_MAX_BYTES) return undefined;
  return { label: bytes.toString('utf8', OPEN_BYTES, end) };
}
