import type { Logger } from '../log.js';
import type { Endpoint } from '../util/endpoint.js';
import type { UdpSocket } from '../util/udp.js';
import type { PunchRole } from '../wire/confirm.js';
import type { Candidate } from '../wire/extension.js';
import type { NatReport } from '../wire/nat-report.js';
import type { TargetOptions } from './address-filter.js';
import type { ProvenBy } from './dialogue.js';
import type { How, PunchStats } from './outcome.js';
import type { Told } from './plexus.js';

/** What both sides' messages say beyond a reference; nothing of it for a peer that is no awl. */
export interface LadderOptions {
  /** Own sockets whose endpoints our message named as fresh ones, in that order. */
  readonly fresh: readonly UdpSocket[];
  /** Own socket for IPv6 beside an IPv4 main one. */
  readonly beside?: UdpSocket;
  /** Our own candidates, and where STUN saw the main socket. */
  readonly ownCandidates: readonly Candidate[];
  readonly ownOuter: Endpoint;
  /** The peer's. */
  readonly peerFresh: readonly Endpoint[];
  readonly peerCandidates: readonly Candidate[];
  /** The peer speaks the choice, and asks for the birthday rung. */
  readonly chooses: boolean;
  /** It reads where we see it. */
  readonly tellsSeen?: boolean;
  readonly birthday: boolean;
  /** A plexus: it knows one endpoint of us, and takes datagrams from nowhere else. */
  readonly plexus?: boolean;
  /** What our message named as that endpoint. */
  readonly told?: Told;
  /** Who the peer is, for the limits of the birthday rung. */
  readonly peerKey: string;
}

export interface PunchOptions extends TargetOptions {
  /** The socket of the reference. It stays open, whether it wins or not. */
  readonly socket: UdpSocket;
  readonly role: PunchRole;
  /** Puzzle XOR puzzle. */
  readonly secret: bigint;
  /** The endpoint that the peer's message named. */
  readonly peer: Endpoint;
  /** IP TTL of quiet openers, 1 to 255. */
  readonly hops: number;
  /** `hops` is known to leave the own NAT and go no further: measured, or chosen by the user. */
  readonly measured?: boolean;
  readonly ladder?: LadderOptions;
  /** 32 bytes of `deriveConfirmKey`; present iff both sides announced the confirmation. */
  readonly confirmKey?: Buffer;
  /** What is known of both NATs; UNMEASURED for a peer that does not say. */
  readonly reports?: { readonly own: NatReport; readonly peer: NatReport };
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly log: Logger;
  /** Milliseconds, steady. */
  readonly now?: () => number;
}

export interface PunchResult {
  /** The socket that won: that of the reference or another one, which is now the caller's. */
  readonly socket: UdpSocket;
  /** Its number: 0 that of the reference, then the fresh ones. */
  readonly number: number;
  /** Where the peer really is. */
  readonly peer: Endpoint;
  /** The rung that won; `remapped`: another port of the peer's address; `moved`: another address. */
  readonly how: How;
  /** Did the peer prove the confirmation key? Always true if there was one. */
  readonly confirmed: boolean;
  /** Round trip of the confirmation, where it was not repeated. */
  readonly rttMs?: number;
  readonly provenBy: ProvenBy;
  /** Where the peer sees the socket that won, as it says itself. */
  readonly seen?: Endpoint;
  readonly stats: Readonly<PunchStats> & {
    /** From the start to the proof, and to the hand-over after lingering. */
    readonly provenMs: number;
    readonly elapsedMs: number;
  };
}
