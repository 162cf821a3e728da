import type { Duplex } from 'node:stream';

/** WebRTC's words for a path. */
export type LinkState = 'new' | 'connecting' | 'connected' | 'disconnected' | 'failed' | 'closed';

export interface ChannelInfo {
  readonly label: string;
  readonly state: 'connecting' | 'open' | 'closing' | 'closed';
}

/** What a path tells its owner; set once, before anything can arrive. */
export interface LinkEvents {
  state(state: LinkState): void;
  /** One message of the `sys` channel. */
  sys(bytes: Buffer): void;
  /** The peer opened a data channel. */
  stream(label: string, stream: Duplex): void;
}

/** One path to one peer: control messages and labelled streams, whatever it is made of. */
export interface MeepoLink {
  readonly kind: 'webrtc' | 'passage' | 'loopback';
  readonly state: LinkState;
  readonly channels: readonly ChannelInfo[];
  /** True if the wire tells the end of one direction from the end of both. */
  readonly halfClose: boolean;
  /** Opens `sys` if need be. @throws Error when the path is gone */
  sendSys(bytes: Buffer): Promise<void>;
  /** @throws Error when the path is gone */
  openStream(label: string): Promise<Duplex>;
  /** Idempotent, never rejects. */
  close(): Promise<void>;
}
