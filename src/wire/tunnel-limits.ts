/**
 * Limits, sizes and times of the built-in tunnel (docs/PROTOCOL.md); `_BYTES` and `_MS` are the units.
 */

/** Version in the hello; a peer with another one is told so. */
export const TUNNEL_VERSION = 2;
/** Application bytes in one data frame; what a socket read gives at most. */
export const TUNNEL_DATA_BYTES = 65_536;
/** Plaintext of one record: a full data frame and its header, with room for a few control frames. */
export const TUNNEL_RECORD_BYTES = 65_792;
/** A target, a reason or a hello is text; the hello lists exports. */
export const TUNNEL_TEXT_BYTES = 1_024;
export const TUNNEL_HELLO_BYTES = 16_384;
/** What either side may send on a new channel before it was granted more: a request goes with its open. */
export const TUNNEL_FIRST_CREDIT_BYTES = 16 * 1024;
/** Receive window of a channel: at first, and at most where its reader keeps up. */
export const TUNNEL_WINDOW_BYTES = 256 * 1024;
export const TUNNEL_WINDOW_MAX_BYTES = 16 * 1024 * 1024;
/** A window that is read within this time grows: more than any round trip that people put up with. */
export const TUNNEL_WINDOW_MS = 500;
/** All windows together; beyond it channels keep TUNNEL_FIRST_CREDIT_BYTES. */
export const TUNNEL_WINDOWS_BYTES = 48 * 1024 * 1024;
/** Open at once, both openers together. */
export const TUNNEL_CHANNELS_MAX = 4_096;
/** Control frames that wait behind a peer who takes nothing. */
export const TUNNEL_QUEUE_BYTES = 16 * 1024 * 1024;
/** UDX streams side by side, and the bytes that each gets in its turn. */
export const TUNNEL_LANES = 2;
export const TUNNEL_LANE_BYTES = 32 * 1024;
/** How far one lane may be ahead of another: UDX' window, and what waits above it. */
export const TUNNEL_LANES_AHEAD_BYTES = 16 * 1024 * 1024;
/** What was sent and not acknowledged, beyond which nothing but control frames is taken. */
export const TUNNEL_KEPT_BYTES = 32 * 1024 * 1024;
/** Memory of records lies side by side: four of the largest that a socket fills, with header and length. */
export const TUNNEL_SLAB_BYTES = 4 * (TUNNEL_DATA_BYTES + 12);
/** Slabs that wait to be used again, of 32 MB while something is under way; and when nothing is, as many as a fast path fills first. */
export const TUNNEL_SLABS_MAX = 128;
export const TUNNEL_SPARE_SLABS = 8;
/** Buffers of sealed records that wait to be used again when there is little to do: what a fast path acknowledges at once. */
export const TUNNEL_SPARE_RECORDS = 16;
/** An acknowledgement goes out after this much, or so many records; and with every ping. */
export const TUNNEL_ACK_BYTES = 256 * 1024;
export const TUNNEL_ACK_RECORDS = 64;
/** A question on the idle stream keeps NAT mappings alive; this long without a byte the peer is gone. */
export const TUNNEL_PING_MS = 4_000;
export const TUNNEL_SILENCE_MS = 12_500;
/** "I am here" on the new socket, until the peer's hello is there; and how long that may take. */
export const TUNNEL_KNOCK_MS = 20;
export const TUNNEL_START_MS = 10_000;
/** Taking leave: what is queued still goes out. */
export const TUNNEL_CLOSE_MS = 1_000;
/** How long a tunnel without a path is kept for the next one; `--reconnect-timeout` changes it. */
export const TUNNEL_RECONNECT_MS = 600_000;
/** A tunnel whose path breaks more often than this within that time is given up by who would have to invite again. */
export const TUNNEL_BREAKS_MAX = 8;
export const TUNNEL_BREAKS_MS = 60_000;
/** Tunnels of one peer that wait for another path at once: each may keep TUNNEL_KEPT_BYTES. */
export const TUNNEL_WAITING_MAX = 4;
/** How long the exporting side tries to reach a target. */
export const TUNNEL_DIAL_MS = 10_000;
/** Datagrams remembered against replay. */
export const TUNNEL_REPLAY_WINDOW = 2_048;
/** 1500 less 28 for IPv4 and UDP, our 27 (magic, counter, channel, tag), and 3 beside volleys. */
export const TUNNEL_DATAGRAM_BYTES = 1_442;
/** A UDP source without traffic in either direction is forgotten; RFC 4787 REQ-5 asks for 2 minutes. */
export const TUNNEL_FLOW_IDLE_MS = 120_000;
export const TUNNEL_FLOWS_MAX = 1_024;
/** Datagrams of a new source that wait for the peer's consent. */
export const TUNNEL_FLOW_QUEUE = 32;
/** Ports of one range that are listened on. */
export const TUNNEL_RANGE_MAX = 1_024;
