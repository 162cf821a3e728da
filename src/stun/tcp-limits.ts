/** Limits of STUN over TCP; `_MS` are milliseconds. */

/** Connecting and one answer; a server that has no TCP is often silent, so nobody waits long for it. */
export const STUN_TCP_MS = 2_500;
/** The largest message that either end reads, header included; ours have at most 120 bytes. */
export const STUN_TCP_MESSAGE_BYTES = 1_024;
/** The embedded server: connections of one listener, and how long one may stay. A client keeps its own while it punches. */
export const STUN_TCP_CONNECTIONS = 512;
export const STUN_TCP_IDLE_MS = 30_000;
/** Requests on one connection; plexus makes one, awl one or two. */
export const STUN_TCP_REQUESTS = 16;
