import { familyOf } from '../util/endpoint.js';
import { pathMtu } from '../util/path-mtu.js';
import { TUNNEL_DATAGRAM_BYTES, TUNNEL_PING_MS } from '../wire/tunnel-limits.js';
import type { Link } from './link.js';

/** The MTU for which TUNNEL_DATAGRAM_BYTES is made, over IPv4; IPv6's header has 20 bytes more. */
const FULL_MTU = 1500;
const IPV6_MORE_BYTES = 20;
/** How long an answer of the kernel is good enough. */
const FRESH_MS = 1_000;
/** The kernel forgets after ten minutes what a router told it, and a path may change: it is found out anew so often. */
const AGAIN_MS = 120_000;
const AGAIN_PINGS = AGAIN_MS / TUNNEL_PING_MS;

/** The first ones may be lost, and each may find another router on the way. */
const FIRST_PINGS = 4;

/**
 * How large a datagram of the tunnel may be to pass in one piece. A full one that carries nothing goes ahead of
 * those that people send (the peer ignores it): a router for which it is too long says so to the kernel, which knows it from
 * then on, and sends what is longer in fragments.
 */
export class PathSize {
  readonly #say: (warning: string) => void;
  readonly #warned = new Set<string>();
  #pings = 0;
  #known: { readonly link: Link; readonly at: number; readonly bytes: number } | undefined;

  constructor(say: (warning: string) => void) {
    this.#say = say;
  }

  /** When a link begins, and with every ping on it. */
  ping(link: Link): void {
    if (this.#known?.link !== link) this.#pings = 0;
    const due = this.#pings < FIRST_PINGS || this.#pings % AGAIN_PINGS === 0;
    this.#pings += 1;
    // Not longer than what is known: the kernel would send it in fragments, and nobody would complain.
    const bytes = this.of(link);
    if (due && link.datagrams.available) link.datagrams.send(0, new Uint8Array(bytes));
  }

  /** False for what is never sent; once a word for that, and for what goes in fragments. */
  admits(bytes: number, link: Link | undefined): boolean {
    if (bytes > TUNNEL_DATAGRAM_BYTES) {
      this.#warn(`a datagram of ${bytes} bytes does not fit; the most is ${TUNNEL_DATAGRAM_BYTES}`);
      return false;
    }
    const most = this.of(link);
    if (bytes > most)
      this.#warn(`a datagram of ${bytes} bytes goes in fragments; the path takes ${most} in one piece`);
    return true;
  }

  /** Bytes of the largest payload; TUNNEL_DATAGRAM_BYTES where nobody knows better. */
  of(link: Link | undefined): number {
    const { peer } = link?.carrier ?? {};
    if (!link?.datagrams.available || !peer) return TUNNEL_DATAGRAM_BYTES;
    const now = performance.now();
    if (this.#known?.link !== link || now - this.#known.at > FRESH_MS) {
      const full = familyOf(peer) === 6 ? FULL_MTU + IPV6_MORE_BYTES : FULL_MTU;
      const less = Math.max(0, full - (pathMtu(peer) ?? full));
      this.#known = { link, at: now, bytes: Math.max(0, TUNNEL_DATAGRAM_BYTES - less) };
    }
    return this.#known.bytes;
  }

  #warn(what: string): void {
    const kind = what.replace(/\d+/g, '');
    if (this.#warned.has(kind)) return;
    this.#warned.add(kind);
    this.#say(`${what} (lower the MTU inside)`);
  }
}
