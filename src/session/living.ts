import type { Entrance } from '../tunnel/entrance.js';
import type { Tunnel } from '../tunnel/tunnel.js';
import { sleep } from '../util/sleep.js';
import { TUNNEL_WAITING_MAX } from '../wire/tunnel-limits.js';
import type { Passage } from './passage.js';

/** How often a tunnel is looked at that may have lost its peer. */
const LOOK_MS = 200;

interface Living {
  readonly tunnel: Tunnel;
  /** Who may come back to it. */
  readonly owner: string;
  readonly entrance: Entrance;
}

/** The tunnels of one acceptor that go on when their peers come back with another passage. */
export class LivingTunnels {
  readonly #tunnels = new Map<string, Living>();
  /** Keys of those without a path, the longest waiting first. */
  readonly #waiting = new Set<string>();

  /** Until the tunnel ends. */
  add(tunnel: Tunnel, passage: Passage, entrance: Entrance): void {
    const key = tunnel.token.toString('hex');
    this.#tunnels.set(key, { tunnel, owner: ownerOf(passage), entrance });
    const forget = () => {
      this.#tunnels.delete(key);
      this.#waiting.delete(key);
    };
    void tunnel.closed.then(forget, forget);
  }

  /** The tunnel lost its path and waits. Of one peer's, the longest waiting is given up beyond TUNNEL_WAITING_MAX. */
  waits({ token }: Tunnel): void {
    const key = token.toString('hex');
    const owner = this.#tunnels.get(key)?.owner;
    if (owner === undefined) return;
    this.#waiting.add(key);
    const same = [...this.#waiting].filter((other) => this.#tunnels.get(other)?.owner === owner);
    const oldest = same.length > TUNNEL_WAITING_MAX && same[0];
    if (!oldest) return;
    this.#waiting.delete(oldest);
    this.#tunnels
      .get(oldest)
      ?.tunnel.giveUp(`${TUNNEL_WAITING_MAX} later tunnels of the same peer wait for a new path, too`);
  }

  /** The tunnel has a path again. */
  goesOn({ token }: Tunnel): void {
    this.#waiting.delete(token.toString('hex'));
  }

  /**
   * A later session of a peer takes over the local ports of an earlier one that lost its path: who asks anew was
   * started anew. An earlier one that has not noticed yet gets the time to notice; one that hears of its peer stays.
   */
  async succeed({ token }: Tunnel, entrance: Entrance): Promise<void> {
    const own = this.#tunnels.get(token.toString('hex'));
    for (const other of this.#tunnels.values()) {
      if (other === own || other.owner !== own?.owner || !other.entrance.isOpen) continue;
      if (!(await isGone(other.tunnel, own.tunnel)) || !other.entrance.isOpen) continue;
      entrance.inherit(other.entrance);
      other.tunnel.giveUp('a later session of the same peer took its place');
      return;
    }
  }

  /**
   * The tunnel with this token, if the passage leads to the very peer it began with: one certificate on each side.
   * A token alone opens nothing.
   */
  find(token: Buffer, passage: Passage): Tunnel | undefined {
    const found = this.#tunnels.get(token.toString('hex'));
    return found?.owner === ownerOf(passage) ? found.tunnel : undefined;
  }
}

/** Whether a tunnel stays without its peer, which shows at the next ping or the end of TUNNEL_SILENCE_MS. */
async function isGone(tunnel: Tunnel, successor: Tunnel): Promise<boolean> {
  const { received } = tunnel.stats;
  while (tunnel.stats.state === 'open') {
    if (tunnel.stats.received !== received || successor.stats.state === 'closed') return false;
    await sleep(LOOK_MS);
  }
  return true;
}

function ownerOf({ app, host, peerCertificate, session }: Passage): string {
  // Without a certificate nobody can come back.
  return JSON.stringify([app, host.owner, host.pin, peerCertificate?.fingerprint256 ?? `nobody ${session}`]);
}
