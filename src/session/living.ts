import type { Tunnel } from '../tunnel/tunnel.js';
import type { Passage } from './passage.js';

/** The tunnels of one acceptor that go on when their peers come back with another passage. */
export class LivingTunnels {
  readonly #tunnels = new Map<string, { readonly tunnel: Tunnel; readonly owner: string }>();

  /** Until the tunnel ends. */
  add(tunnel: Tunnel, passage: Passage): void {
    const key = tunnel.token.toString('hex');
    this.#tunnels.set(key, { tunnel, owner: ownerOf(passage) });
    const forget = () => this.#tunnels.delete(key);
    void tunnel.closed.then(forget, forget);
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
