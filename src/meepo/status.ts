import type { LinkState, MeepoLink } from './link.js';
import type { TeleportationInfo } from './lists.js';

/** How a node signals, and whether that works now. */
export interface SignalingStatus {
  readonly name: string;
  /** The server, where there is one. */
  readonly where?: string;
  readonly ready: boolean;
  /** Messages that were none. */
  readonly strays: number;
}

/** One path as `status` shows it. */
export interface TransportStatus {
  readonly peerID: string;
  readonly state: LinkState;
  /** What it is made of; absent while it is being made. */
  readonly kind?: MeepoLink['kind'];
  readonly awl: boolean;
  readonly ageMs: number;
  readonly channels: number;
  readonly strays: number;
}

/** One teleportation, and what went through it. */
export interface TeleportationStatus extends TeleportationInfo {
  /** Connections that ever were. */
  readonly connected: number;
  /** Bytes into the path, and out of it. */
  readonly sent: number;
  readonly received: number;
}

/** What a node does at this moment; counters since its start. Nothing here is secret. */
export interface NodeStatus {
  readonly id: string;
  /** Who may reach what, in one line. */
  readonly access: string;
  readonly signaling: readonly SignalingStatus[];
  readonly transports: readonly TransportStatus[];
  readonly teleportations: readonly TeleportationStatus[];
  /** Paths that worked. */
  readonly connected: number;
  /** Connections made for peers, and what was refused to them. */
  readonly dialled: number;
  readonly refused: number;
  /** Control messages that were none, not for us, not from the peer, or not new. */
  readonly strays: number;
  /** Offers passed on for others, and those that were not. */
  readonly mesh: { readonly relayed: number; readonly dropped: number } | null;
}

/** What the daemon says over its API. */
export interface DaemonStatus extends NodeStatus {
  readonly pid: number;
  readonly upMs: number;
  /** Connections at the proxy port by what became of them; absent without a proxy. */
  readonly proxy?: Readonly<Record<string, number>>;
}

/** Whether an answer of the API can be shown. */
export function isDaemonStatus(value: unknown): value is DaemonStatus {
  if (typeof value !== 'object' || value === null) return false;
  const { id, access, pid, upMs, signaling, transports, teleportations } = value as Partial<DaemonStatus>;
  const texts = [id, access].every((one) => typeof one === 'string');
  const numbers = [pid, upMs].every((one) => typeof one === 'number');
  return texts && numbers && [signaling, transports, teleportations].every((one) => Array.isArray(one));
}
