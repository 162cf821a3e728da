import { DHT_FRAGMENT_BYTES, DHT_FRAGMENTS_MAX } from './limits.js';

/** Before every message to an acceptor, so that a plain HyperDHT client is not taken for one of ours. */
const MAGIC = Buffer.from('awl1');
const TAG_BYTES = 16;
const HEAD_BYTES = MAGIC.length + 2 * TAG_BYTES + 3;
const FRAGMENT = 1;
const POLL = 2;
const ECHO = 3;
const HOLD = 0x80;
const INCOMPLETE = 0;
const WAITING = 1;
const ANSWER = 2;
const ECHOED = 3;

/**
 * One knock of an inviter at an acceptor: 4 bytes magic, 16 gate, 16 letter id, then op, index and count, a byte each,
 * then the fragment. Op 1 brings fragment `index` of `count`, op 2 only asks; both want part `index` of the answer.
 * The high bit of op: the reply may wait for the answer. Op 3 is an acceptor's knock at its own door.
 */
export type Knock =
  | {
      readonly op: 'fragment';
      readonly gate: Buffer;
      readonly id: Buffer;
      readonly hold: boolean;
      readonly index: number;
      readonly count: number;
      readonly bytes: Buffer;
    }
  | {
      readonly op: 'poll';
      readonly gate: Buffer;
      readonly id: Buffer;
      readonly hold: boolean;
      readonly index: number;
    }
  | { readonly op: 'echo'; readonly gate: Buffer; readonly id: Buffer };

/** The reply: op 0 fragments are missing, 1 the letter is there and not answered, 2 part `index` of `count` of the answer. */
export type KnockReply =
  | { readonly op: 'incomplete' | 'waiting' | 'echo' }
  | { readonly op: 'answer'; readonly index: number; readonly count: number; readonly bytes: Buffer };

export function encodeKnock(knock: Knock): Buffer {
  const head = Buffer.concat([MAGIC, knock.gate, knock.id]);
  if (knock.op === 'echo') return Buffer.concat([head, Buffer.from([ECHO, 0, 0])]);
  const hold = knock.hold ? HOLD : 0;
  if (knock.op === 'poll') return Buffer.concat([head, Buffer.from([POLL | hold, knock.index, 0])]);
  return Buffer.concat([head, Buffer.from([FRAGMENT | hold, knock.index, knock.count]), knock.bytes]);
}

/** Undefined for what is not of this form. */
export function decodeKnock(payload: Buffer): Knock | undefined {
  if (payload.length < HEAD_BYTES || !payload.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  const gate = payload.subarray(MAGIC.length, MAGIC.length + TAG_BYTES);
  const id = payload.subarray(MAGIC.length + TAG_BYTES, MAGIC.length + 2 * TAG_BYTES);
  const [code = 0, index = 0, count = 0] = payload.subarray(HEAD_BYTES - 3, HEAD_BYTES);
  const bytes = payload.subarray(HEAD_BYTES);
  const hold = (code & HOLD) !== 0;
  switch (code & ~HOLD) {
    case FRAGMENT:
      return isPart(index, count, bytes)
        ? { op: 'fragment', gate, id, hold, index, count, bytes }
        : undefined;
    case POLL:
      return bytes.length === 0 ? { op: 'poll', gate, id, hold, index } : undefined;
    case ECHO:
      return { op: 'echo', gate, id };
    default:
      return undefined;
  }
}

export function encodeReply(reply: KnockReply): Buffer {
  if (reply.op === 'answer') {
    return Buffer.concat([MAGIC, Buffer.from([ANSWER, reply.index, reply.count]), reply.bytes]);
  }
  const op = { incomplete: INCOMPLETE, waiting: WAITING, echo: ECHOED }[reply.op];
  return Buffer.concat([MAGIC, Buffer.from([op, 0, 0])]);
}

/** Undefined for what is not of this form: whoever squats the place may say anything. */
export function decodeReply(payload: Buffer): KnockReply | undefined {
  const head = MAGIC.length + 3;
  if (payload.length < head || !payload.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  const [op, index = 0, count = 0] = payload.subarray(MAGIC.length, head);
  const bytes = payload.subarray(head);
  if (op === ANSWER) return isPart(index, count, bytes) ? { op: 'answer', index, count, bytes } : undefined;
  if (bytes.length > 0) return undefined;
  if (op === INCOMPLETE) return { op: 'incomplete' };
  if (op === WAITING) return { op: 'waiting' };
  return op === ECHOED ? { op: 'echo' } : undefined;
}

/** A box in parts of {@link DHT_FRAGMENT_BYTES}; all but the last are full. */
export function splitBox(box: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < box.length; at += DHT_FRAGMENT_BYTES) {
    parts.push(box.subarray(at, at + DHT_FRAGMENT_BYTES));
  }
  return parts;
}

function isPart(index: number, count: number, bytes: Buffer): boolean {
  if (count < 1 || count > DHT_FRAGMENTS_MAX || index >= count) return false;
  return index === count - 1
    ? bytes.length > 0 && bytes.length <= DHT_FRAGMENT_BYTES
    : bytes.length === DHT_FRAGMENT_BYTES;
}
