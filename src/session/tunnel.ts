import { AwlError } from '../errors.js';
import { formatName } from '../identity/names.js';
import { silentLogger } from '../log.js';
import { serveExports } from '../tunnel/exporter.js';
import { greet } from '../tunnel/greeting.js';
import { listenForImports } from '../tunnel/importer.js';
import type { Listener } from '../tunnel/listener.js';
import { listenForProxy } from '../tunnel/proxy.js';
import { joinStdio, type StdioStreams } from '../tunnel/stdio.js';
import { Tunnel } from '../tunnel/tunnel.js';
import { openUdx } from '../tunnel/udx.js';
import type { Endpoint } from '../util/endpoint.js';
import type { Acl } from '../wire/acl.js';
import { deriveTunnelKeys } from '../wire/tunnel-keys.js';
import { type ExportSpec, formatExport, type ImportSpec, type TunnelTarget } from '../wire/tunnel-target.js';
import type { Passage } from './passage.js';
import type { SessionSettings } from './settings.js';

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
}

/**
 * Hands the passage to the built-in tunnel and stays until it ends: by our signal or the peer's leave, or with the
 * connection of `stdio`. The passage's port is closed in any case.
 * @returns 0
 * @throws AwlError TUNNEL_REFUSED, TUNNEL_BIND, TUNNEL_LOST
 */
export async function runTunnel(
  passage: Passage,
  wanted: TunnelSettings,
  settings: SessionSettings,
): Promise<number> {
  const { session, sessionKey } = passage;
  const log = (settings.log ?? silentLogger).child(session);
  if (!sessionKey) {
    await passage.close();
    const peer = formatName(passage.peer);
    throw new AwlError('TUNNEL_REFUSED', `${peer} gave no key to encrypt a tunnel with; it is not awl`, {
      hint: 'the built-in tunnel needs awl and sealed messages on both sides; with plexus use --exec-command',
    });
  }
  const signal = settings.signal && { signal: settings.signal };
  const carrier = await openUdx({
    local: passage.inner,
    peer: passage.alien,
    keys: deriveTunnelKeys(sessionKey, passage.role),
    release: () => passage.close(),
  });
  const { rules } = wanted;
  const own = { exports: wanted.exports.map(formatExport), ...(rules && { any: true }) };
  const greeted = await greet({ carrier, hello: own, ...signal });
  const onOpen = serveExports(wanted.exports, log, rules && { acl: rules, peer: formatName(passage.peer) });
  const tunnel = new Tunnel({ role: passage.role, onOpen, log, ...signal }, greeted);
  let listeners: Listener[] = [];
  try {
    listeners = await listenForImports(tunnel, wanted.imports, log);
    if (wanted.socks5) listeners.push(await listenForProxy(tunnel, wanted.socks5, log));
    const hello = tunnel.peerHello;
    const offered = [...hello.exports, ...(hello.any ? ['any'] : [])];
    if (wanted.socks5 && !hello.any) {
      log.warning('the peer gives no --export-any: the proxy reaches what it exports and nothing else');
    }
    const imports = listeners.map(({ at }) => at);
    log.info(
      `tunnel to ${formatName(passage.peer)}: listening on ${imports.join(', ') || 'nothing'}, ` +
        `the peer exports ${offered.join(', ') || 'nothing'}`,
    );
    settings.onEvent?.({ event: 'tunnel-open', session, imports, offered });
    const reason = await (wanted.stdio ? stdio(tunnel, wanted.stdio) : tunnel.closed);
    const { sent, received } = tunnel.stats;
    log.info(`tunnel closed: ${reason}; ${sent} bytes out, ${received} in`);
    settings.onEvent?.({ event: 'tunnel-closed', session, reason, sent, received });
    return 0;
  } finally {
    await Promise.all(listeners.map((listener) => listener.close()));
    await tunnel.close('the session ended');
  }
}

async function stdio(tunnel: Tunnel, { target, ...streams }: NonNullable<TunnelSettings['stdio']>) {
  try {
    await joinStdio(tunnel, target, streams);
    return 'the connection ended';
  } catch (error) {
    // The peer that is lost is a better reason than the connection that it took along.
    await Promise.race([tunnel.closed, new Promise((resolve) => setImmediate(resolve))]);
    throw error;
  }
}
