/** Limits and times of an SCTP association under data channels; `_BYTES` and `_MS` are the units. */

/** User data of one packet: 1265 bytes of UDP then, as every implementation of WebRTC sends. */
export const PIECE_BYTES = 1200;
/** The chunks of such a packet, and all of it. */
export const PACKET_BYTES = PIECE_BYTES + 16;
export const FULL_PACKET_BYTES = 12 + PACKET_BYTES;
/** The window that the peer is told, and the longest message: what `a=max-message-size` promises. */
export const WINDOW_BYTES = 1024 * 1024;
export const MESSAGE_MAX_BYTES = 64 * 1024;
export const STREAMS_MAX = 65_535;
/** Ranges that one SACK tells of; more would not fit the packet. */
export const GAPS_MAX = 200;

/** The first congestion window (RFC 6928), and the least one. */
export const CWND_FIRST_BYTES = 10 * PIECE_BYTES;
export const CWND_LEAST_BYTES = 2 * PIECE_BYTES;
export const CWND_MAX_BYTES = 2 * 1024 * 1024;
/** Packets that go out in one turn; a kernel's buffer that was never touched takes about 90. */
export const BURST = 32;
/** So many packets that were sent later arrived: this one is lost (RFC 9002 section 6.1.1). */
export const REORDER = 3;
/** A queue of this much builds up somewhere (RFC 9406): slow start is over. */
export const QUEUE_MS = 4;
export const QUEUE_ROUNDS = 16;
export const CWND_QUEUE_BYTES = 80 * PIECE_BYTES;

/** Retransmission: first, what a peer may take to answer at all, and at most (RFC 9260 section 16, and RFC 8985). */
export const RTO_FIRST_MS = 1_000;
export const RTO_LEAST_MS = 300;
export const RTO_MAX_MS = 10_000;
/** A window that the peer closed is asked after this often. */
export const PROBE_MS = 1_000;
/** INIT and COOKIE ECHO are sent so often. */
export const INIT_TRIES = 8;
/** An odd packet may wait this long for one to be acknowledged with it. Senders count on every second one being told of. */
export const SACK_MS = 20;
export const SACK_PACKETS = 2;
/** Behind so many packets without a gap they are not in slow start any more: of what one turn brings, every eighth will do. */
export const STEADY_PACKETS = 1_000;
export const STEADY_SACK_PACKETS = 8;
/** A request to reset streams is repeated after this. */
export const RESET_MS = 1_000;
/** Streams in one request. */
export const RESETS_MAX = 128;
