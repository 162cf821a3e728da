/** awl's own numbers for the relay (docs/PROTOCOL.md, "The relay"). Milliseconds and bytes. */

/** From challenge to bind: a round trip and a signature. */
export const RELAY_COOKIE_MS = 30_000;
/** How long one side waits for the other: as long as a slow direct attempt of that one lasts, and some more. */
export const RELAY_WAIT_MS = 90_000;
/** A session over which nothing came is over; ricochet of plexus 3.4 has the same. */
export const RELAY_IDLE_MS = 180_000;

export const RELAY_SESSIONS = 256;
export const RELAY_SESSIONS_PER_KEY = 8;
/** A second of each session and of the whole relay, and what may come at once. */
export const RELAY_RATE = { burst: 1024 * 1024, perSecond: 4 * 1024 * 1024 } as const;
export const RELAY_RATE_TOTAL = { burst: 4 * 1024 * 1024, perSecond: 16 * 1024 * 1024 } as const;
/** What fits an Ethernet frame, and a tunnel's larger try; nobody needs more of a path. */
export const RELAY_DATAGRAM_BYTES = 2048;

/** Challenges and signatures for one address; whoever shares it shares them. */
export const RELAY_ASKS = { burst: 20, perSecond: 4 } as const;
export const RELAY_CLAIMS = { burst: 20, perSecond: 2 } as const;
/** Signatures for everybody: 0.1 ms each. */
export const RELAY_CLAIMS_TOTAL = { burst: 200, perSecond: 100 } as const;
export const RELAY_SOURCES = 4096;

/** The client's repetitions, then every last one again. */
export const RELAY_GAPS_MS = [250, 500, 1000, 2000] as const;
/** Silence after which a relay counts as dead; while the other side is waited for, three repetitions. */
export const RELAY_SILENCE_MS = 5000;
/** While the other side is waited for: also keeps the NAT's mapping. */
export const RELAY_REFRESH_MS = 5000;
