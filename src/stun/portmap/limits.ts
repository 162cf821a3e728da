/** Timers and limits of port mapping, as src/constants.ts has those of the house. */

/** RFC 6886 section 1.1: where NAT-PMP and PCP servers listen. */
export const PCP_PORT = 5351;
/** UPnP Device Architecture 1.1 section 1.3. */
export const SSDP_PORT = 1900;
export const SSDP_GROUP = '239.255.255.250';
/** RFC 6886 section 3.1 doubles from 250 ms for a minute; a router in the own network answers in a few, or never. */
export const GATEWAY_RETRANSMITS_MS: readonly number[] = [250, 500, 1000];
/** When a search is sent; routers answer within a second of their choosing (MX). */
export const SSDP_SENDS_MS: readonly number[] = [0, 400];
/** After this nobody answers a search any more. */
export const SSDP_MS = 1_600;
/** Everything that finds a router together. */
export const DISCOVERY_MS = 2_500;
/** One mapping, and its removal, which holds up the end of a session. */
export const MAP_MS = 2_500;
export const UNMAP_MS = 700;
/** Seconds that a router keeps a port for us if we crash. It is asked again after half of it. */
export const LEASE_S = 1200;
/** What a router grants below this is not worth its renewals; what it grants above is renewed as if it were the most. */
export const LEASE_MIN_S = 20;
export const LEASE_MAX_S = 86_400;
/** Answers that mean nothing, until a router is given up. */
export const STRAY_MAX = 32;
/** A description or SOAP answer; those of real routers have 2 to 20 kB. */
export const XML_MAX_BYTES = 64 * 1024;
/** Other ports tried where UPnP says that one is taken. */
export const CONFLICT_RETRIES = 3;
/** A router found is asked again without a new search for this long; laptops move between networks. */
export const SEARCH_LIFE_MS = 10 * 60_000;
