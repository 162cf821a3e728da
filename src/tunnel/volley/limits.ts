/**
 * Limits and times of volleys (docs/PROTOCOL.md, "Volleys"); `_BYTES` and `_MS` are the units. What is not ours by
 * choice comes of BBR (draft-cardwell-iccrg-bbr-congestion-control-00) and RACK (RFC 8985).
 */

/** How far a volley may be ahead of the oldest that is not whole, and the bytes that may be under way: both of them. */
export const VOLLEY_WINDOW = 1_024;
export const VOLLEY_FLIGHT_BYTES = 10 * 1024 * 1024;
/** What a receiver keeps of volleys that are not whole or not in order; an honest sender has no more under way. */
export const VOLLEY_HELD_BYTES = 24 * 1024 * 1024;
/** What waits above before `write` says so, and when it says that there is room again. */
export const VOLLEY_FULL_BYTES = 512 * 1024;
export const VOLLEY_ROOM_BYTES = 256 * 1024;
/** Memory of volleys that waits to be used again when there is little to do. */
export const VOLLEY_SPARE = 16;
/**
 * A report goes out at the end of a turn of the event loop, but not sooner after the last than this share of a round
 * trip within these limits; and in it after so much.
 */
export const REPORT_SHARE = 1 / 16;
export const REPORT_MS = 1;
export const REPORT_MAX_MS = 4;
export const REPORT_BYTES = 512 * 1024;
/** Asked of the kernel for either direction; without rights for it the system's limit is what we get. */
export const VOLLEY_SOCKET_BYTES = 4 * 1024 * 1024;
/** What may wait in our own process for the kernel before we stop. */
export const VOLLEY_QUEUE_BYTES = 256 * 1024;

/** Before anything is known of the path: 32 segments (RFC 6928 has 10, today's senders 16 to 32). */
export const INITIAL_FLIGHT_BYTES = 32 * 1200;
export const LEAST_FLIGHT_BYTES = 4 * 1200;
export const INITIAL_RTT_MS = 250;
/** Clocks and event loops of both sides do nothing in less time: so much more than the path holds is under way. */
export const SLACK_MS = 10;
/** Round trips may be this much longer than the least before it is a queue of ours that makes them so. */
export const QUEUE_FACTOR = 1.5;
/** At high rates packets go out in bursts of this time (as TCP's segmentation offload does), and make up for so much. */
export const BURST_MS = 1;
export const BURST_MAX_MS = 3;
/** Who was called that late for the next burst makes up for so much: a machine that is busy is no slow path. */
export const LATE_MS = 50;
/** How long less than a volley waits behind a full one for more. */
export const HOLD_MS = 1;
/** BBR section 4: gains, and for how many round trips the highest rate counts. */
export const STARTUP_GAIN = 2.885;
export const CYCLE_GAINS = [1.25, 0.75, 1, 1, 1, 1, 1, 1] as const;
export const FLIGHT_GAIN = 2;
export const QUEUE_FLIGHT_GAIN = 1.25;
export const RATE_ROUNDS = 10;
/** Where so many cycles in a row each found so much more, and no queue, it is begun anew (in the manner of BBR version 3). */
export const RISE = 1.15;
export const RISES = 2;
export const FULL_ROUNDS = 3;
export const FULL_GROWTH = 1.25;
/** After one such round where it lost more than this share: then it was the path's end (BBR version 2 has 2 %). */
export const STARTUP_LOSS = 0.03;
export const LEAST_RTT_MS = 10_000;
export const PROBE_RTT_MS = 100;
export const PROBE_RTT_GAIN = 0.5;
/** RFC 8985 section 6.2.4: packets overtake each other by a quarter of a round trip, or this. */
export const REORDER_SHARE = 0.25;
export const REORDER_MS = 1;
/** RFC 6298, with clocks of our kind: a probe after this without a report, then everything again. */
export const PROBE_SLACK_MS = 15;
export const PROBE_MAX_MS = 3_000;
export const PROBES = 2;

/**
 * RFC 8899: sizes that are tried, those of Ethernet with IPv4 and IPv6, of PPPoE, WireGuard and other tunnels; when there is
 * a use for them, so often, at so long intervals, and all of it again after so long.
 */
export const WIDTHS = [1472, 1452, 1412, 1372, 1332, 1272] as const;
export const WIDTH_AFTER_SEGMENTS = 64;
export const WIDTH_TRIES = 3;
export const WIDTH_TRY_MS = 1_000;
export const WIDTH_AGAIN_MS = 600_000;
/** So many bytes lost in wide segments, none of which arrived for so long, are no chance but the path's end. */
export const WIDTH_LOST_BYTES = 64 * 1024;
export const WIDTH_LOST_MS = 500;
