import { type AwlError, isAwlError } from '../errors.js';
import { formatName } from '../identity/names.js';
import { type Logger, silentLogger } from '../log.js';
import type { Entrance } from '../tunnel/entrance.js';
import { serveExports } from '../tunnel/exporter.js';
import type { Greeted } from '../tunnel/greeting.js';
import { joinStdio, type StdioStreams } from '../tunnel/stdio.js';
import { Tunnel } from '../tunnel/tunnel.js';
import type { Endpoint } from '../util/endpoint.js';
import { formatEndpoint } from '../util/endpoint.js';
import type { Acl } from '../wire/acl.js';
import type { TunnelHello } from '../wire/tunnel-hello.js';
import { TUNNEL_RECONNECT_MS } from '../wire/tunnel-limits.js';
import { type ExportSpec, formatExport, type ImportSpec, type TunnelTarget } from '../wire/tunnel-target.js';
import { declineResumption } from './carrying.js';
import type { LivingTunnels } from './living.js';
import type { Passage } from './passage.js';
import { bringBack, greetFirst, seekDirect } from './reconnecting.js';
import type { SessionSettings } from './settings.js';
import { upgradeToTcp } from './tcp-upgrade.js';
import type { TubusUse } from './tubus.js';

/** What the built-in tunnel does on a passage. */
export interface TunnelSettings {
  /** What the peer may reach from here; nothing else. */
  readonly exports: readonly ExportSpec[];
  /** Where we listen, and what of the peer it leads to. */
  readonly imports: readonly ImportSpec[];
  /** Rules for what else the peer may reach; without them nothing. */
  readonly rules?: Acl;
  /** Where a SOCKS 5 and HTTP proxy listens, for what the peer exports or allows. */
  readonly socks5?: Endpoint;
  /** One connection over these streams; the session ends with it. */
  readonly stdio?: StdioStreams & { readonly target: TunnelTarget };
  /** The wire of wormhole instead of awl's own, for a peer that is a plexus; then only this counts. */
  readonly tubus?: TubusUse;
  /** How long a tunnel that lost its path is kept for the next one; default 10 minutes, 0 for not at all. */
  readonly reconnectMs?: number;
  /** UDX even where both sides' kernels could do better (`volley`). */
  readonly udx?: boolean;
  /** Stay on UDP even where TCP could be punched. */
  readonly udpOnly?: boolean;
}

/** How a tunnel that lost its path comes to another one. */
export interface Returning {
  /** The inviter asks the peer again. */
  readonly invite?: (signal: AbortSignal) => Promise<Passage>;
  /** The inviter asks for a direct path in place of a relayed one. */
  readonly direct?: (signal: AbortSignal) => Promise<Passage>;
  /** The acceptor keeps what its peers may come back to. */
  readonly living?: LivingTunnels;
  /** Only who comes back is welcome. */
  readonly only?: boolean;
}

/**
 * Hands the passage to the built-in tunnel and stays until it ends: by our signal or the peer's leave, or with the
 * connection of `stdio`. Or the passage becomes the new path of a tunnel that lives already. The passage's port is
 * closed in any case.
 * @param entrance opened here; who connects to it waits while there is no path, and after the end
 * @returns 0
 * @throws AwlError TUNNEL_REFUSED, TUNNEL_BIND, TUNNEL_LOST; TUNNEL_FORGOTTEN if the peer was started anew meanwhile
 */
export async function runTunnel(
  won: Passage,
  wanted: TunnelSettings,
  settings: SessionSettings,
  entrance: Entrance,
  returning: Returning = {},
): Promise<number> {
  const reconnectMs = wanted.reconnectMs ?? TUNNEL_RECONNECT_MS;
  const { rules } = wanted;
  const hello: TunnelHello = {
    exports: wanted.exports.map(formatExport),
    keeps: reconnectMs > 0,
    ...(rules && { any: true }),
    ...(!wanted.udpOnly && { tcp: true }),
  };
  const { passage, greeted } = await greetFirst(won, hello, {
    ...(returning.invite && { invite: returning.invite }),
    ...(settings.signal && { signal: settings.signal }),
    onBroken: ({ session }) => settings.board?.forget(session),
    log: (settings.log ?? silentLogger).child(won.session),
  });
  const log = (settings.log ?? silentLogger).child(passage.session);
  const { resume, keeps } = greeted.hello;
  if (resume || returning.only) {
    const tunnel = resume && returning.living?.find(resume, passage);
    const back = await comeBack(greeted, tunnel, passage, log);
    if (tunnel && back) void upgradeToTcp({ tunnel, passage, hello, settings, log });
    return 0;
  }
  const session = new TunnelSession(passage, settings, entrance, log);
  const improve = (path: Passage) => void upgradeToTcp({ tunnel, passage: path, hello, settings, log });
  const tunnel: Tunnel = new Tunnel(
    {
      role: passage.role,
      onOpen: serveExports(wanted.exports, log, rules && { acl: rules, peer: formatName(passage.peer) }),
      // Who does not keep its end has nothing to go on with.
      reconnectMs: keeps ? reconnectMs : 0,
      onLost: (error) => {
        session.lost(error);
        const { invite, living } = returning;
        living?.waits(tunnel);
        if (invite) void bringBack(tunnel, { hello, invite, onPassage: improve, log });
      },
      onMoved: () => {
        returning.living?.goesOn(tunnel);
        session.moved(tunnel);
      },
      log,
      ...(settings.signal && { signal: settings.signal }),
    },
    greeted,
  );
  if (returning.direct) void seekDirect(tunnel, { hello, invite: returning.direct, onPassage: improve, log });
  returning.living?.add(tunnel, passage, entrance);
  improve(passage);
  return session.serve(tunnel, wanted, returning.living);
}

/** The peer has another path for a tunnel that lives here, or believes so. */
async function comeBack(
  greeted: Greeted,
  tunnel: Tunnel | undefined,
  passage: Passage,
  log: Logger,
): Promise<boolean> {
  const peer = formatName(passage.peer);
  if (!tunnel) {
    log.warning(`${peer} wants to go on with a tunnel that is not here (any more)`);
    await declineResumption(greeted);
    return false;
  }
  try {
    await tunnel.attach(greeted);
    return true;
  } catch (error) {
    if (!isAwlError(error)) throw error;
    log.warning(`${peer} did not come back: ${error.message}`);
    return false;
  }
}

/** What one tunnel reports, and the work it does, from its first path to its end. */
class TunnelSession {
  readonly #passage: Passage;
  readonly #settings: SessionSettings;
  readonly #entrance: Entrance;
  readonly #log: Logger;
  #lostAt = 0;
  #away = false;

  constructor(passage: Passage, settings: SessionSettings, entrance: Entrance, log: Logger) {
    this.#passage = passage;
    this.#settings = settings;
    this.#entrance = entrance;
    this.#log = log;
  }

  lost(error: AwlError): void {
    if (this.#away) return;
    this.#away = true;
    this.#entrance.hold();
    this.#lostAt = performance.now();
    const { session, peer } = this.#passage;
    this.#log.warning(`the path to ${formatName(peer)} is lost, its connections wait: ${error.message}`);
    this.#settings.onEvent?.({ event: 'reconnecting', session, code: error.code, message: error.message });
  }

  moved(tunnel: Tunnel): void {
    this.#entrance.admit(tunnel);
    const { carrier } = tunnel;
    const { session, peer } = this.#passage;
    const path = carrier?.kind ?? '';
    const at = carrier?.peer && formatEndpoint(carrier.peer);
    if (!this.#away) {
      this.#log.info(`the tunnel to ${formatName(peer)} moved to ${path} ${at ?? ''}`);
      this.#settings.onEvent?.({ event: 'moved', session, path, ...(at && { alien: at }) });
      return;
    }
    const ms = Math.round(performance.now() - this.#lostAt);
    this.#away = false;
    this.#log.info(
      `the tunnel to ${formatName(peer)} goes on over ${path} ${at ?? ''}, ${ms} ms after the loss`,
    );
    this.#settings.onEvent?.({ event: 'reconnected', session, path, ...(at && { alien: at }), ms });
  }

  async serve(tunnel: Tunnel, wanted: TunnelSettings, living: LivingTunnels | undefined): Promise<number> {
    const log = this.#log;
    const { session, peer } = this.#passage;
    const unwatch = this.#settings.board?.watch(session, () => tunnel.stats);
    try {
      await this.#enter(tunnel, wanted, living);
      const hello = tunnel.peerHello;
      const offered = [...hello.exports, ...(hello.any ? ['any'] : [])];
      if (wanted.socks5 && !hello.any) {
        log.warning('the peer gives no --export-any: the proxy reaches what it exports and nothing else');
      }
      const imports = this.#entrance.at;
      log.info(
        `tunnel to ${formatName(peer)}: listening on ${imports.join(', ') || 'nothing'}, ` +
          `the peer exports ${offered.join(', ') || 'nothing'}`,
      );
      this.#settings.onEvent?.({ event: 'tunnel-open', session, imports, offered });
      this.#closed(tunnel, await (wanted.stdio ? stdio(tunnel, wanted.stdio) : tunnel.closed));
      return 0;
    } catch (error) {
      if (!wanted.stdio && isAwlError(error, 'TUNNEL_FORGOTTEN')) this.#closed(tunnel, error.message);
      throw error;
    } finally {
      this.#entrance.hold();
      await tunnel.close('the session ended');
      unwatch?.();
    }
  }

  async #enter(tunnel: Tunnel, wanted: TunnelSettings, living: LivingTunnels | undefined): Promise<void> {
    if (wanted.imports.length > 0 || wanted.socks5) await living?.succeed(tunnel, this.#entrance);
    await this.#entrance.open(wanted, this.#log);
    if (tunnel.stats.state === 'open') this.#entrance.admit(tunnel);
  }

  #closed({ stats: { sent, received } }: Tunnel, reason: string): void {
    const { session } = this.#passage;
    this.#log.info(`tunnel closed: ${reason}; ${sent} bytes out, ${received} in`);
    this.#settings.onEvent?.({ event: 'tunnel-closed', session, reason, sent, received });
  }
}

async function stdio(tunnel: Tunnel, { target, ...streams }: NonNullable<TunnelSettings['stdio']>) {
  try {
    await joinStdio(tunnel, target, streams);
    return 'the connection ended';
  } catch (error) {
    // The peer that is lost is a better reason than the connection that it took along.
    if (tunnel.stats.state === 'closed') await tunnel.closed;
    throw error;
  }
}
