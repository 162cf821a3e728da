import type { Tunnel } from '../tunnel/tunnel.js';
import { TUNNEL_WAITING_MAX } from '../wire/tunnel-limits.js';
import type { Passage } from './passage.js';

/** The tunnels of one acceptor that go on when their peers come back with another passage. */
export class LivingTunnels {
  readonly #tunnels = new Map<string, { readonly tunnel: Tunnel; readonly owner: string }>();
  /** Keys of those without a path, the longest waiting first. */
  readonly #waiting = new Set<string>();

  /** Until the tunnel ends. */
  add(tunnel: Tunnel, passage: Passage): void {
    const key = tunnel.token.toString('hex');
    this.#tunnels.set(key, { tunnel, owner: ownerOf(passage) });
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
   * The tunnel with this token, if the passage leads to the very peer it began with: one certificate on each side.
   * A token alone opens nothing.
   */
  find(token: Buffer, passage: Passage): Tunnel | undefined {
    const found = this.#tunnels.get(token.toString('hex'));
    return found?.owner === ownerOf(passage) ? found.tunnel : undefined;
  }
}

function ownerOf({ app, host, peerCertificate, session }: Passage): string {
  // Without a certificate nobody can come back.
  return JSON.stringify([app, host.owner, host.pin, peerCertificate?.fingerprint256 ?? `nobody ${session}`]);
}
