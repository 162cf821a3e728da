/** Limits of TCP punching; `_MS` are milliseconds. */

/** How long one endpoint is tried, and how many connections are begun toward it: each is a SYN, or two or three. */
export const TCP_OPEN_MS = 3_000;
export const TCP_OPEN_TRIES = 20;
/** Between tries, at random: two sides in step would meet a closed port again and again. */
export const TCP_OPEN_GAP_MS = { min: 5, max: 90 } as const;
