import { readFileSync } from 'node:fs';

interface Captured {
  readonly t: number;
  readonly from_: 'import' | 'export';
  readonly salt: string;
  readonly hex: string;
  readonly plain: string;
  readonly parsed: {
    readonly pin: number;
    readonly sections: readonly { type: string; length: number; value?: number; handle?: number }[];
  };
}

interface Noted {
  readonly frames: readonly { client: number; length: number; data: string }[];
}

interface CapturedSession {
  readonly secret: string;
  readonly packets: readonly Captured[];
  readonly wormhole_frames: { readonly import: Noted; readonly export: Noted };
}

const url = new URL('../fixtures/tubus/wormhole-session.json', import.meta.url);

/** A session of two real wormholes with two TCP clients, datagram by datagram. */
export const session = JSON.parse(readFileSync(url, 'utf8')) as CapturedSession;
export const capturedPackets = session.packets;
