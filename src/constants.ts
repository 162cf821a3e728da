/**
 * Every timer, limit, port and magic number, with its origin.
 * Units are in the names: `_MS` milliseconds, `_S` seconds, `_BYTES` octets.
 */

// --- STUN (RFC 3489, 5389/8489, 5780)
/** RFC 8489 section 18.6. */
export const STUN_PORT = 3478;
/** Of `awl hub --relay`: beside STUN's two. */
export const RELAY_PORT = 3480;
/** RFC 8489 section 5. */
export const STUN_MAGIC_COOKIE = 0x2112a442;
/**
 * plexus' 4.6 s (spec e.1) with seven requests instead of its five: where a third of all round trips fails, one session in
 * a hundred lost all five. RFC 8489 section 6.2.1 begins at 500 ms, and allows less where RTTs are known.
 */
export const STUN_RETRANSMITS_MS: readonly number[] = [200, 300, 400, 500, 700, 900, 1600];
/** Behaviour tests whose "no" is silence; they run in parallel and must be over within PROBE_EXTRA_MS. */
export const STUN_SILENCE_RETRANSMITS_MS: readonly number[] = [150, 250, 500];
/** How long the behaviour tests may hold up the rendezvous once the endpoint is known (issue A). */
export const PROBE_EXTRA_MS = 1000;
/** What an inviter gives the quick mapping tests, so that the invitation can say how its NAT maps. */
export const PROBE_GRACE_MS = 150;
/** NATs drop idle UDP mappings after 30 s at the earliest (RFC 4787 REQ-5 allows less); refresh well before. */
export const MAPPING_REFRESH_MS = 10_000;

/** How long a name server may take; the rest of a session waits for it. */
export const STUN_RESOLVE_MS = 1500;
/**
 * netcheck's bound is 5 s for the whole program (RELIABILITY section 5); a lookup that the system's resolver does
 * not give up may keep the finished process for a moment more.
 */
export const DOCTOR_MS = 3700;
/** Beside it, each rendezvous: longer than a DHT takes to say that it is unreachable; and its leave. */
export const DOCTOR_RENDEZVOUS_MS = 4_700;
export const DOCTOR_CLOSE_MS = 200;
/**
 * Embedded server, per source address. A behaviour discovery of ours takes about 30 requests, plexus' 14 in 5.6 s,
 * and a whole carrier network may share one address; forged sources still get no more than 12 kB/s reflected.
 */
export const STUN_SERVER_BURST = 500;
export const STUN_SERVER_RATE_PER_S = 100;
/** Sources remembered by the embedded server's rate limit; the oldest is forgotten first. */
export const STUN_SERVER_SOURCES = 10_000;

// --- exchange
/** plexus PLEXUS_RESPONSE_TIMEOUT, spec a.5. */
export const RESPONSE_TIMEOUT_MS = 60_000;
/** plexus PLEXUS_HANDSHAKE_TIMEOUT, spec a.5. */
export const HANDSHAKE_TIMEOUT_MS = 60_000;
/** Freshness window around signingTime, RELIABILITY section 3. */
export const SIGNING_TIME_WINDOW_MS = 5 * 60_000;
/** How long a seen message is remembered, RELIABILITY section 4. */
export const SEEN_RETENTION_MS = 24 * 3600_000;
/** The same for messages that do not say when they were written (plexus over OpenDHT): nothing else stops a replay. */
export const SEEN_UNTIMED_RETENTION_MS = 400 * 24 * 3600_000;
export const SEEN_MAX_ENTRIES = 10_000;
/** A sealed message of ours is 3 to 5 kB; RELIABILITY section 4 caps a message at 64 kB and 8 parts. */
export const MESSAGE_MAX_BYTES = 64 * 1024;
export const MESSAGE_MAX_PARTS = 8;
export const MESSAGE_MAX_DEPTH = 3;

// --- e-mail
/** RFC 8314. */
export const SMTPS_PORT = 465;
export const IMAPS_PORT = 993;
/** plexus PLEXUS_MAX/MIN_POLLING_TIMEOUT, spec a.5. */
export const IMAP_POLL_ACCEPT_MS = 30_000;
export const IMAP_POLL_INVITE_MS = 10_000;
/** RELIABILITY section 4: mails looked at in one scan. */
export const IMAP_SCAN_MAX = 100;
/** Mails that wait to be looked at when a mailbox is flooded; older ones are passed over with a warning. */
export const IMAP_BACKLOG_MAX = 10_000;
/** With IDLE, too, look this often: it finds half-open connections and servers that forget to notify. */
export const IMAP_RECHECK_MS = 30_000;
/** An invitation this old still has a sender who waits: RESPONSE_TIMEOUT_MS and 10 s for slow mail. */
export const INVITE_LOOKBACK_MS = RESPONSE_TIMEOUT_MS + 10_000;
/** TCP, TLS, greeting and login together; and any one command after that. */
export const MAIL_CONNECT_MS = 20_000;
export const MAIL_STEP_MS = 20_000;
/** A mail server that fails within this time is asked again before `push` gives up. */
export const MAIL_PUSH_RETRY_MS = 10_000;

// --- HyperDHT rendezvous (docs/PROTOCOL.md)
/** Where HyperDHT's bootstrap nodes listen. */
export const HYPERDHT_PORT = 49737;
/** OpenDHT's default port, and so plexus' (spec a.1). */
export const OPENDHT_PORT = 4222;

// --- file rendezvous
/** Folder notifications get lost on network shares; a look at the folder costs next to nothing. */
export const FILE_POLL_MS = 100;
/** Older messages are nobody's any more (RESPONSE_TIMEOUT_MS is 60 s). */
export const FILE_KEEP_MS = 10 * 60_000;

// --- OpenDHT rendezvous (spec opendht; "upstream" is libopendht 2.4.12)
/** Whole of `prepare`: name lookup and the first answer of a bootstrap node (issue B: said within 5 s). */
export const OPENDHT_PREPARE_MS = 5_000;
/** When a query is sent again; upstream sends three times, the first gap up to 250 ms. */
export const OPENDHT_ATTEMPTS_MS: readonly number[] = [0, 250, 750];
/** The same to a node that never answered us: whoever named it may have lied. */
export const OPENDHT_STRANGER_ATTEMPTS_MS: readonly number[] = [0, 300];
/** To the nodes that the user named, within OPENDHT_PREPARE_MS. */
export const OPENDHT_BOOTSTRAP_ATTEMPTS_MS: readonly number[] = [0, 250, 750, 1500, 2500, 3500];
/** After the last attempt; upstream's response limit is 1 s. */
export const OPENDHT_LAST_WAIT_MS = 1_000;
/** A node that has not answered by now holds up nobody; its answer still counts when it comes. */
export const OPENDHT_SLOW_MS = 300;
/** Nodes next to a key that store a value (Kademlia's k). */
export const OPENDHT_CLOSEST = 8;
/** Queries of one search under way at once, and in all: hostile nodes can name ever more nodes. */
export const OPENDHT_PARALLEL = 4;
export const OPENDHT_SEARCH_MAX = 48;
export const OPENDHT_SEARCH_MS = 5_000;
/** Nodes of one public address among the closest: one machine cannot surround a key. */
export const OPENDHT_SAME_ADDRESS_MAX = 2;
/** Nodes remembered; the longest silent is forgotten first. */
export const OPENDHT_TABLE_MAX = 200;
/** Datagrams to a public address that has not answered, in OPENDHT_SILENT_WINDOW_MS: no reflector for liars. */
export const OPENDHT_SILENT_MAX = 16;
export const OPENDHT_SILENT_WINDOW_MS = 60_000;
/** Nodes drop listeners after 30 s; NATs drop idle mappings at about the same age. */
export const OPENDHT_LISTEN_RENEW_MS = 13_000;
/** How often a listener looks for nodes that have come closer to its key. */
export const OPENDHT_LISTEN_SEARCH_MS = 60_000;
/** When what was put is looked for, and put again where it is missing; nobody waits for it after 60 s. */
export const OPENDHT_ANNOUNCE_AT_MS: readonly number[] = [700, 3_000, 10_000, 20_000, 40_000, 60_000];
/** What was put is announced side by side; an acceptor has at most SESSIONS_TOTAL and their queue under way. */
export const OPENDHT_ANNOUNCEMENTS_MAX = 320;
/** How long `push` waits for slow nodes once one node has the value, and for any node at all. */
export const OPENDHT_PUSH_GRACE_MS = 1_000;
export const OPENDHT_PUSH_MS = 10_000;
/** The largest datagram that honest nodes send is about 1400 bytes. */
export const OPENDHT_DATAGRAM_MAX_BYTES = 2048;
/** A letter between 4096-bit keys is 4 kB; larger values under our key are not even collected. */
export const OPENDHT_LETTER_MAX_BYTES = 16 * 1024;
/** Fragments are waited for this long after the last and after the first one (upstream). */
export const OPENDHT_ASSEMBLY_IDLE_MS = 3_000;
export const OPENDHT_ASSEMBLY_MS = 10_000;
/** Messages in fragments that are collected at once, and their content. */
export const OPENDHT_ASSEMBLIES_MAX = 64;
export const OPENDHT_ASSEMBLY_MAX_BYTES = 1024 * 1024;
/** Values of one listener that are remembered so that eight nodes deliver one letter. */
export const OPENDHT_SEEN_MAX = 4096;
/** Letters that wait for their reader; more under one key is a flood. */
export const OPENDHT_BACKLOG_MAX = 1024;

// --- reconnecting to a rendezvous
export const RECONNECT_BASE_MS = 1_000;
export const RECONNECT_MAX_MS = 60_000;

// --- punch and handshake (spec f)
export const PUNCH_HOPS = 7;
export const HANDSHAKE_FRAME_BYTES = 8;
export const CONFIRM_FRAME_BYTES = 32;
/** RELIABILITY section 4: datagrams and bytes to an address that has not answered. */
export const SILENT_MAX_DATAGRAMS = 64;
export const SILENT_MAX_BYTES = 2048;
/** RELIABILITY section 4: bytes out per byte in after first contact. */
export const AMPLIFICATION_FACTOR = 3;
/** plexus receive slot, spec f: the inviter repeats its frame every 1.6 s. */
export const PLEXUS_SLOT_MS = 1600;
/** Once both NAT reports say that a pair cannot be punched, silence this long ends the attempt: the end comes within 10 s. */
export const IMPOSSIBLE_AFTER_MS = 8_000;
/** The inviter's openers: quick while the acceptor is surely there, then plexus' slot; 42 in 60 s, under the cap. */
export const OPENER_GAPS_MS: readonly number[] = [100, 200, 400, 800, PLEXUS_SLOT_MS];
/** The acceptor's low-TTL openers: the second and third stand in for a lost first; then every MAPPING_REFRESH_MS. */
export const LOW_TTL_AT_MS: readonly number[] = [0, 150, 500];
/** When the acceptor begins to send openers that arrive: a symmetric acceptor is found by no other means. */
export const SWAP_AFTER_MS = 3_000;
/** The same, where the acceptor knows that its mapping depends on the destination. */
export const SWAP_EARLY_MS = 300;
/** Places the peer may be at, kept at once; a forger of valid frames can make as many. */
export const PUNCH_MAX_PATHS = 16;
/** Allowance to an address nobody announced, beyond AMPLIFICATION_FACTOR times what it sent: eight confirm frames. */
export const STRAY_MAX_BYTES = 256;
/** Answers to endpoints neither announced nor authenticated: at once, and per second after that. */
export const STRAY_ANSWER_BURST = 32;
export const STRAY_ANSWERS_PER_S = 20;
/** Answers to one path keep this distance, whatever the flood. */
export const ANSWER_MIN_GAP_MS = 40;
/** The acceptor's unasked repeats of its flag 1: two lost datagrams cost less than plexus' slot. */
export const ANSWER_REPEATS_MS: readonly number[] = [250, 500, 1000];
/** A plexus inviter repeats each slot until it is answered: 2.5 slots of silence say that it was (spec f). */
export const LEGACY_SILENCE_MS = 2.5 * PLEXUS_SLOT_MS;
/** Who was still asking this long after the first answer did not hear it: later silence then proves nothing. */
export const SILENCE_TRUST_MS = 3 * PLEXUS_SLOT_MS;
/** Gaps between confirm frames to one path; the last one repeats. */
export const CONFIRM_GAPS_MS: readonly number[] = [60, 100, 150, 200];
/** Confirm frames at full pace on one path, and those a single valid legacy frame (1 forgery in 256) can draw. */
export const CONFIRM_REPEATS = 10;
/** An awl peer repeats its confirm every 200 ms until it is acknowledged. */
export const CONFIRM_SILENCE_MS = 2_000;
/** As SILENCE_TRUST_MS: a peer still asking this long after our first acknowledgement goes on at plexus' slot. */
export const CONFIRM_TRUST_MS = 1_500;
/** Extra copies of the last frame after success, for a peer whose copy was lost. */
export const LINGER_SENDS_MS: readonly number[] = [20, 40, 60, 90];
/** The socket is handed on after this long; if the peer asked again meanwhile, so long after its last question. */
export const LINGER_MS = 100;
/** More than the 200 ms between a peer's confirm frames; LINGER_MAX_MS ends it in any case. */
export const LINGER_ASKED_MS = 250;
export const LINGER_MAX_MS = 1_000;

// --- accept loop (RELIABILITY section 4)
export const SESSIONS_PER_PEER = 4;
export const SESSIONS_TOTAL = 64;
export const SESSION_QUEUE = 256;
export const SESSION_QUEUE_PER_PEER = 8;
export const PENALTY_BASE_MS = 5_000;
export const PENALTY_MAX_MS = 15 * 60_000;

// --- identities
/** A PEM certificate or key of RSA-4096 is 4 kB; with openssl's text before it, 12 kB. */
export const IDENTITY_FILE_MAX_BYTES = 64 * 1024;
/** RSA sizes that `awl id init` makes; the first is the default and what plexus users have. */
export const IDENTITY_RSA_BITS: readonly number[] = [2048, 3072, 4096];
export const IDENTITY_YEARS = 10;
/** New certificates count from a day ago: the peer's clock may be behind ours. */
export const IDENTITY_BACKDATE_MS = 24 * 3600_000;

/** The index of keys is read anew at this age; where a key is not in it, at this one. */
export const IDENTITY_INDEX_MS = 10_000;
export const IDENTITY_INDEX_FRESH_MS = 1_000;

// --- command line
/** How long --email-password-command may take; a person may have to unlock a key. */
export const PASSWORD_COMMAND_MS = 10_000;

// --- payload
/** Time between TERM and KILL for the payload's process group. */
export const TERM_GRACE_MS = 5_000;
/** After KILL a process is gone at once unless the kernel holds it (disk wait); no session waits longer for that. */
export const KILL_WAIT_MS = 2_000;
/** How often a process group is looked at while it ends. */
export const GROUP_POLL_MS = 25;
/** How long the punched port may still be busy before the payload starts. */
export const PORT_FREE_MS = 500;
export const PORT_RETRY_MS = 25;

// --- the extension (docs/PROTOCOL.md)
/** 2.25.<UUID 0d8fe5ca-b6ce-4da9-8784-39bafe0bfb16>, ITU-T X.667. */
export const EXTENSION_OID = '2.25.18027123128438128068361969479975697174';
/** The extension's `v`. */
export const EXTENSION_VERSION = 1;
/** Cap on the decoded extension; the reader refuses anything larger before parsing. */
export const EXTENSION_MAX_BYTES = 4096;
