/**
 * Limits and times of a Meepo node (shared spec of Meepo 0.7, sections 5 to 11); `_BYTES` and `_MS` are the units.
 */

/** An answer to an offer over Redis, to a control request, and the gathering of candidates (Meepo's own). */
export const WIRE_MS = 13_000;
export const REQUEST_MS = 17_000;
export const GATHER_MS = 17_000;
/** Until a path that was agreed on must be there. */
export const CONNECT_MS = 20_000;
/** A real node loses its last answer, and then crashes, if the connection ends right behind it. */
export const LINGER_MS = 2_500;
/** Between two awls: until their own path must be there, a birthday search included; and when WebRTC is tried beside it. */
export const PASSAGE_MS = 18_000;
export const FALLBACK_MS = 5_000;
/** A disconnected path that comes back within this time is the same path. */
export const LOST_MS = 15_000;

/** Peers at once; whoever knows our id may connect. */
export const TRANSPORTS_MAX = 128;
/** Offers that are answered side by side, and per peer in a minute. */
export const OFFERS_MAX = 16;
export const OFFERS_PER_PEER = 20;
/** Offers remembered, so that one that is played again costs nothing. */
export const OFFERS_SEEN = 4_096;
/** Control requests of a peer that are worked on at once, that wait, and sessions remembered against replay. */
export const REQUESTS_MAX = 64;
export const REQUESTS_QUEUED = 512;
export const SESSIONS_SEEN = 4_096;

/** Nonces of one peer that it has not used yet, and how long each is good for. */
export const CHALLENGES_MAX = 32;
export const CHALLENGE_MS = 60_000;

/** Teleportations that peers made here, in all and of one of them; connections of one peer. */
export const SINKS_MAX = 1_024;
export const SINKS_PER_PEER = 64;
export const STREAMS_PER_PEER = 512;
/** A dialled target waits this long for its data channel. */
export const LABEL_MS = 10_000;
export const DIAL_MS = 10_000;

/** A real node cannot read more than 32 kB in one message; half of that, 14 full packets, leaves room for others on the path. */
export const MESSAGE_BYTES = 14 * 1200;
/** Full packets that go to the kernel at once, which takes 64, and 64 kB. */
export const FULL_RECORDS_MAX = 32;
/** Data channels of one path, those included whose end the peer has not seen yet. */
export const CHANNELS_MAX = 4_096;
/** What a WebRTC path may hold that the network has not taken, before senders wait. */
export const OUT_HIGH_BYTES = 256 * 1024;
/** What may wait for readers on one path before the peer is told to stop; and how long one reader may cause that. */
export const IN_HIGH_BYTES = 4 * 1024 * 1024;
export const STALL_MS = 30_000;
/** After one side of a connection ended, a wire without half-close waits this long for the rest of the answer. */
export const HALF_CLOSED_MS = 5_000;

/** Candidates of a session description that are looked at. */
export const CANDIDATES_MAX = 32;
