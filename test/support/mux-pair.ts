import { type ChannelHandler, Mux } from '../../src/tunnel/mux.js';
import type { PunchRole } from '../../src/wire/confirm.js';
import { decodeFrames, encodeFrame, type TunnelFrame } from '../../src/wire/tunnel-frame.js';

/** What one end of a channel saw, in order. */
export interface Seen {
  readonly events: string[];
  readonly data: Buffer[];
  /** Arrived and not yet reported as consumed. */
  unread: number;
}

/** One mux of a test, its channels' logs, and the frames on their way to the other. */
export interface MuxEnd {
  readonly mux: Mux;
  readonly seen: Map<number, Seen>;
  /** Targets that the peer asked for, by channel. */
  readonly asked: Map<number, string>;
  readonly out: Buffer[];
  readonly frames: TunnelFrame[];
}

export function recorder(seen: Map<number, Seen>, id: () => number): ChannelHandler {
  const at = () => {
    const known = seen.get(id()) ?? { events: [], data: [], unread: 0 };
    seen.set(id(), known);
    return known;
  };
  return {
    accepted: () => void at().events.push('accepted'),
    refused: (reason) => void at().events.push(`refused ${reason}`),
    data: (bytes) => {
      at().data.push(Buffer.from(bytes));
      at().unread += bytes.length;
    },
    credit: () => {},
    ended: () => void at().events.push('ended'),
    reset: () => void at().events.push('reset'),
  };
}

export function muxEnd(role: PunchRole): MuxEnd {
  const seen = new Map<number, Seen>();
  const asked = new Map<number, string>();
  const out: Buffer[] = [];
  const frames: TunnelFrame[] = [];
  const mux = new Mux({
    role,
    send: (frame) => {
      frames.push(frame);
      out.push(encodeFrame(frame));
    },
    opened: (id, target) => {
      asked.set(id, target);
      return recorder(seen, () => id);
    },
  });
  return { mux, seen, asked, out, frames };
}

/** Opens a channel whose events are recorded. */
export function openRecorded(end: MuxEnd, target: string): number | undefined {
  const slot = { id: 0 };
  const id = end.mux.open(
    target,
    recorder(end.seen, () => slot.id),
  );
  if (id !== undefined) slot.id = id;
  return id;
}

/** Delivers the oldest frames of one end to the other, through the codec. */
export function deliver(from: MuxEnd, to: MuxEnd, count = Number.POSITIVE_INFINITY): void {
  for (let i = 0; i < count; i++) {
    const record = from.out.shift();
    if (!record) return;
    for (const frame of decodeFrames(record)) to.mux.receive(frame);
  }
}
