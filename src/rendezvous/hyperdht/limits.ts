import { RESPONSE_TIMEOUT_MS } from '../../constants.js';

/** Timers and limits of the HyperDHT rendezvous (docs/PROTOCOL.md), as src/constants.ts has those of the house. */

/** An unreachable network is said within 5 s (issue B). */
export const DHT_REACH_MS = 4_500;
/** Within it the bootstrap nodes are asked so often, anew after this long without an answer. */
export const DHT_REACH_TRIES = 3;
export const DHT_REACH_GAP_MS = 1_400;
/** Of that, what looking up the bootstrap nodes' names may take. */
export const DHT_NAME_MS = 2_000;
/** Taking leave of the network; what is left then is closed without a word. */
export const DHT_CLOSE_MS = 700;
/** An acceptor lets the library finish its first look around the network, but not for longer than this. */
export const DHT_SETTLE_MS = 3_000;
/** Room in one relayed handshake: the datagrams around it have at most 1151 bytes, 1179 with IP and UDP headers. */
export const DHT_PAYLOAD_BYTES = 960;
/** A payload less the 39 bytes before a fragment. */
export const DHT_FRAGMENT_BYTES = 920;
/** Carries MESSAGE_MAX_BYTES and its names. */
export const DHT_FRAGMENTS_MAX = 73;
/** Fragments of one letter under way to one acceptor at once. */
export const DHT_FRAGMENTS_ABREAST = 8;
/** How long an acceptor keeps a knock open for the answer; the library repeats a request after 1 s of silence. */
export const DHT_HOLD_MS = 700;
export const DHT_HELD_MAX = 1_024;
/** One knock, over whichever relays; when the next is tried beside a silent one, and how many. */
export const DHT_KNOCK_MS = 3_000;
export const DHT_HEDGE_MS = 400;
export const DHT_HEDGES = 6;
/** Pauses between an inviter's questions whether the answer is there, once quick ones brought nothing. */
export const DHT_POLL_GAPS_MS: readonly number[] = [0, 0, 0, 200, 500, 1_000, 2_000];
/** An inviter looks for acceptors again and again: quickly at first, as an acceptor may just be announcing itself. */
export const DHT_LOOKUP_GAPS_MS: readonly number[] = [100, 150, 250, 500, 1_000, 1_500, 2_000];
/** After this long the next look begins beside one that has not ended. */
export const DHT_LOOKUP_PATIENCE_MS = 1_000;
/** But never more than so many at once. */
export const DHT_LOOKUPS_MAX = 4;
/** Repeats of a question to one node, a second apart; the library's own 5 would hold a query up for 6 s. */
export const DHT_QUERY_RETRIES = 2;
/** Nodes name at most 20 acceptors at a time, by lot: who is among more has to be looked for more often. */
export const DHT_CROWD = 20;
export const DHT_CROWD_GAP_MS = 200;
/** Acceptors that one invitation is carried to side by side; others wait until one has had its time. */
export const DHT_COURIERS_MAX = 32;
export const DHT_COURIER_TURN_MS = 2_500;
/** Pause before a silent acceptor is tried again, times the number of failures. */
export const DHT_SILENT_PAUSE_MS = 1_000;
export const DHT_SILENT_PAUSE_MAX_MS = 15_000;
/** Half-arrived letters of an acceptor: how long, how much together, how much of one source. */
export const DHT_ASSEMBLY_MS = 10_000;
export const DHT_ASSEMBLY_MAX_BYTES = 1024 * 1024;
export const DHT_ASSEMBLY_SOURCE_BYTES = 512 * 1024;
/** Arrived letters that may still be answered. */
export const DHT_WAITING_MS = RESPONSE_TIMEOUT_MS;
export const DHT_WAITING_MAX = 1024;
/** Answers kept for whoever listens later. */
export const DHT_PREPARED_MAX = 256;
/** Knocks computed per source and together: a burst, and a rate per second. One costs about 0.3 ms. */
export const DHT_KNOCK_BURST = 1_000;
export const DHT_KNOCK_RATE_PER_S = 200;
export const DHT_KNOCK_SOURCES = 1_000;
export const DHT_KNOCK_TOTAL_BURST = 3_000;
export const DHT_KNOCK_TOTAL_PER_S = 600;
/** The same for letters that lie in the DHT's records: each look costs 20 datagrams. */
export const DHT_FETCH_BURST = 8;
export const DHT_FETCH_PER_S = 2;
/** And where letters come no other way. */
export const DHT_FETCH_ONLY_BURST = 64;
export const DHT_FETCH_ONLY_PER_S = 10;
/** Who knocks is looked up once in so many seconds; keys of letters that are here already are remembered. */
export const DHT_FETCH_AGAIN_S = 1;
export const DHT_FETCHED_MAX = 1_024;
/** Nodes of the DHT forget announcements after 13 to 27 minutes. */
export const DHT_ANNOUNCE_MS = 8 * 60_000;
/** An acceptor knocks at its own door this often, and sooner while something is wrong. */
export const DHT_CHECK_MS = 5_000;
export const DHT_CHECK_RECORDS_MS = 15_000;
export const DHT_CHECK_SOON_MS = 1_500;
/** Unreachable for this long: the node is made anew. */
export const DHT_STALE_MS = 60_000;
/** A letter in the DHT's records: bytes a record, records a letter. A node's answer then stays under 1200 bytes. */
export const DHT_RECORD_BYTES = 850;
export const DHT_RECORDS_MAX = 24;
/** The slow path's pace: looking for the answer, and knocking again. */
export const DHT_RECORD_POLL_GAPS_MS: readonly number[] = [100, 150, 250, 400, 700];
export const DHT_RECORD_KNOCK_MS = 5_000;
