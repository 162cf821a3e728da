/**
 * Timers, limits and sizes of tubus and wormhole (spec plexus h), beside src/constants.ts because nobody else needs
 * them. Those marked * can be changed by the TUBUS_ variables of the environment.
 */
export const TUBUS_SIGN = 0x0909;
export const TUBUS_VERSION = 0x0102;
/** Salt, sign, version, pin. */
export const TUBUS_HEADER_BYTES = 16;
/** * The newer version's datagram limit, which the older one (1432) takes too. */
export const TUBUS_PACKET_BYTES = 1406;
/** Datagrams beyond this are no tubus of any version: the newer one takes any size that UDP carries. */
export const TUBUS_RECEIVE_MAX_BYTES = 65_507;
/** * What the peer may send before anything was read; a real tubus ends the connection beyond its own 5 MiB. */
export const TUBUS_WINDOW_BYTES = 5 * 1024 * 1024;
/** * Unsent and unacknowledged bytes before a writer waits: several times the 48 moves that can be under way. */
export const TUBUS_SEND_BYTES = 512 * 1024;
/** * Moves in flight. */
export const TUBUS_FLIGHT = 48;
/** Congestion window in moves: at the start, and at its lowest. */
export const TUBUS_FLIGHT_START = 16;
export const TUBUS_FLIGHT_MIN = 8;
/** * Sendings of one move before the connection is broken. */
export const TUBUS_MOVE_ATTEMPTS = 32;
/** How often a link (and what awaits an echo before the RTT is known) is repeated. */
export const TUBUS_LINK_REPEAT_MS = 100;
export const TUBUS_REPEAT_MIN_MS = 10;
/** From the third repetition on gaps grow to this: 32 attempts then outlast a change of network. */
export const TUBUS_REPEAT_MAX_MS = 1_000;
/** * The connecting side's pings; both sides give up when nothing came for one interval and TUBUS_SILENCE_MS. */
export const TUBUS_PING_MS = 30_000;
export const TUBUS_SILENCE_MS = 5_000;
/** * */
export const TUBUS_CONNECT_MS = 30_000;
/** * */
export const TUBUS_ACCEPT_MS = 30_000;
/** * How long a tear waits for its echo. */
export const TUBUS_SHUTDOWN_MS = 2_000;
/** Repeated tears are answered for this long after the last one. */
export const TUBUS_LINGER_MS = 300;
/** Pieces that wait for an earlier one; a peer has at most TUBUS_FLIGHT under way, or what it was told. */
export const TUBUS_PIECES_MAX = 1_024;
/** Pins of links that no other packet has confirmed yet: who guesses one does not lock out the true peer. */
export const TUBUS_PINS_MAX = 8;
/** Edges are announced in steps of this share of the window, so that not each read costs two datagrams. */
export const TUBUS_EDGE_STEPS = 16;
/** TCP clients of one wormhole at once. */
export const WORMHOLE_CLIENTS_MAX = 2_048;
/** Bytes for slow TCP readers, all clients together; beyond it the tunnel waits for them. */
export const WORMHOLE_BACKLOG_BYTES = 8 * 1024 * 1024;
/** One frame's payload; the real wormhole sends up to 1 MiB. */
export const WORMHOLE_FRAME_BYTES = 64 * 1024;
export const WORMHOLE_TCP_CONNECT_MS = 30_000;
/** A half-closed TCP connection that is idle for this long is over; a service may think long about its answer. */
export const WORMHOLE_HALF_CLOSED_MS = 15 * 60_000;
/** TCP keep-alive: finds clients whose machine is gone. */
export const WORMHOLE_KEEPALIVE_MS = 60_000;
/** What the tunnel still sends after SIGTERM before it is torn. */
export const WORMHOLE_FLUSH_MS = 2_000;
