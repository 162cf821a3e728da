/**
 * Times, counts and ports of the ladder, with their origin. Units are in the names.
 */

// --- second and third rounds on fresh mappings
/** Further sockets whose endpoints a message may name. */
export const FRESH_SOCKETS = 2;
/** The second round's low TTL: out of a home NAT and one of a carrier, not into a peer's four or more routers away. */
export const SECOND_HOPS = 4;
/** The third round's, where the inviter is the quiet one: for neighbours, whom every other TTL reaches. */
export const THIRD_HOPS = 3;
/** When the inviter begins its second round: later than any passage of a quick path. */
export const SECOND_ROUND_MS = 250;
/** When the acceptor begins to send datagrams that arrive in the third round. */
export const THIRD_ROUND_MS = 2_000;

// --- host and mapped candidates
/** Datagrams to one host or mapped candidate. */
export const CANDIDATE_PACKETS = 12;
/** How many candidates of the peer are tried. */
export const CANDIDATES_MAX = 8;
/** A better path is waited for this long once its peer was heard, else for the shorter time. */
export const PREFER_MS = 200;
export const PREFER_UNHEARD_MS = 60;

// --- greetings: openers that are a confirm already, which saves a round trip where they arrive
/** To one silent address; with these, its 64 openers have 896 bytes. */
export const GREETINGS_MAX = 16;

// --- birthday sockets and port prediction (FEATURES section 4: 256 sockets, 1 024 probes at 5 ms find each other in 98 %)
export const BIRTHDAY_SOCKETS = 256;
/** Number of the first of them; the ones before are announced in messages. */
export const BIRTHDAY_FIRST = 16;
export const SWEEP_PROBES = 1_024;
export const SWEEP_GAP_MS = 5;
/** An acceptor's second half of the probes takes its time: the peer may only now have got its letter. */
export const SWEEP_SLOW_GAP_MS = 12;
export const SPREAD_GAP_MS = 0.5;
/** When the sockets of the moving side send: again for what was lost, then so that mappings live (RFC 4787 REQ-5). */
export const SPREAD_WAVES_MS: readonly number[] = [0, 400, 2_000];
export const SPREAD_EVERY_MS = 15_000;
/** When as many sockets again join in: where datagrams are lost, one search in 25 outlasts the first half of the probes. */
export const SPREAD_AGAIN_MS = 2_500;
/**
 * When further sockets send with the usual low TTL, where the first ones used a lower one: a carrier's NAT may be further
 * away than SECOND_HOPS. Not before: one opener that arrives at a NAT which such things spoil ends all chances behind it.
 */
export const SPREAD_FURTHER_MS = 6_000;
/** The loud side of a meeting of two counting NATs: a single pair of ports fits, so what is lost has to be sent again. */
export const MEETING_WAVES_MS: readonly number[] = [0, 400, 1_000, 1_800, 2_800, 4_200, 7_000];
/** Waves of the sockets that come later. */
export const SPREAD_LATER_WAVES_MS: readonly number[] = [0, 400];
/** RELIABILITY section 4: datagrams of the birthday rung to one peer. */
export const WIDE_MAX_DATAGRAMS = 2_048;
/** RELIABILITY section 4: one birthday attempt a peer in this time. */
export const WIDE_EVERY_MS = 60_000;
/** How often an attempt that has to wait for another one asks again. */
export const WIDE_RETRY_MS = 250;
/** Start of the wide rungs: where the reports say that nothing else works, say nothing, expect an easier way, deny it. */
export const WIDE_SOON_MS = 150;
export const WIDE_UNSURE_MS = 400;
export const WIDE_LATER_MS = 1_500;
export const WIDE_LAST_MS = 12_000;
/** Ports that a probe tries: RFC 4787 REQ-3 keeps a NAT out of the ones below. */
export const PORT_MIN = 1_024;
export const PORT_MAX = 65_535;
/**
 * A spread of 256 consecutive mappings cannot slip between these steps from the last port that was seen. The very next ports
 * are left out: they are the peer's plain knocks, and a NAT that these have spoilt would give all further probes another port.
 */
export const PREDICTED_STEPS: readonly number[] = [9, 18, 41, 86, 129, 202, 257, 384, 513, 642, 769, 1_024];
/** Two counting NATs meet at this many steps ahead of what was seen last. */
export const MEETING_STEPS = 128;
/** The next ports of a NAT that counts and gives each address one: that of the peer's socket toward us is among them. */
export const AWAITED_STEPS: readonly number[] = [1, 2, 3, 4];
/** Sockets toward each of these; four waves are WIDE_MAX_DATAGRAMS. */
export const AWAITING_SOCKETS = 128;
export const AWAITING_WAVES_MS: readonly number[] = [0, 600, 4_000, 12_000];
/** Ports of a counting NAT further apart than this belong to different times. */
export const NEAR_STEPS = 64;

// --- toward a plexus, which knows one endpoint of us
/** Sockets of which one is to get the port that our message named, and how many ports are left to it when they are opened. */
export const PLEXUS_SOCKETS = 8;
/** An inviter's waves arrive: with eight sockets 56 datagrams, under SILENT_MAX_DATAGRAMS. */
export const PLEXUS_WAVES_MS: readonly number[] = [0, 250, 800, 1_800, 3_800, 8_000, 16_000];
/** An acceptor's only open the own NAT and keep it open: the inviter may read its mail after a minute. */
export const PLEXUS_QUIET_WAVES_MS: readonly number[] = [0, 500, 12_000, 24_000, 36_000, 48_000];
/** Ports beside the announced one that are tried when nothing was heard for this long, and how often: 20 datagrams. */
export const PLEXUS_NEAR_MS = 3_000;
export const PLEXUS_NEAR_STEPS: readonly number[] = [1, 2, 3, 4, 5, 6, 7, 8, -1, -2];
export const PLEXUS_NEAR_WAVES_MS: readonly number[] = [0, 5_000];

// --- the choice among several paths
/** Two and a half of plexus' slots: the acceptor that has not heard the choice asks in each of them. */
export const CHOICE_SILENCE_MS = 4_000;
