import { randomBytes } from 'node:crypto';
import { createServer, isIP, type Server, type Socket } from 'node:net';
import { AwlError, errorText, isAwlError } from '../errors.js';
import type { Logger } from '../log.js';
import { type Greeting, greet, type Outcome } from '../tunnel/proxy-greeting.js';
import { formatMeepoId, parseMeepoId } from '../wire/meepo/id.js';
import type { MeepoNode } from './node.js';
import { splice } from './splice.js';

const CONNECTIONS_MAX = 1_024;
const GREETING_MS = 10_000;
/** A teleportation that nobody uses ends after so long; looked at every half minute. */
const IDLE_MS = 5 * 60_000;
const LOOK_MS = 30_000;

export interface ProxyOptions {
  readonly node: MeepoNode;
  readonly host: string;
  readonly port: number;
  /** The id of a name that the user gave to a peer. */
  readonly lookup: (name: string) => string | undefined;
  readonly log: Logger;
}

/** The node's SOCKS 5 and HTTP CONNECT port: `<id>.mpo` or `<name>.mpo` leads to that peer's loopback. */
export class MeepoProxy {
  readonly #options: ProxyOptions;
  readonly #sockets = new Set<Socket>();
  /** One teleportation for each peer, port and secret: nobody rides on what another has authorised. */
  readonly #names = new Map<string, string>();
  readonly #making = new Map<string, Promise<string>>();
  readonly #server: Server;
  readonly #timer: NodeJS.Timeout;
  readonly #counts = new Map<Outcome, number>();

  constructor(options: ProxyOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => void this.#serve(socket));
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#timer = setInterval(() => this.#closeIdle(), LOOK_MS);
    this.#timer.unref();
  }

  /** @throws AwlError TCP_BIND */
  listen(): Promise<void> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', (cause) =>
        reject(
          new AwlError('TCP_BIND', `the proxy cannot listen on ${host}:${port}: ${errorText(cause)}`, {
            hint: 'proxy.socks5 in the configuration names another port; proxy: {socks5: null} means none',
            cause,
          }),
        ),
      );
      this.#server.listen(port, host, () => {
        this.#server.removeAllListeners('error');
        this.#server.on('error', () => {});
        resolve();
      });
    });
  }

  get port(): number {
    const at = this.#server.address();
    return typeof at === 'object' && at !== null ? at.port : this.#options.port;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** Requests by what became of them. */
  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  #count(outcome: Outcome): void {
    this.#counts.set(outcome, (this.#counts.get(outcome) ?? 0) + 1);
  }

  async #serve(socket: Socket): Promise<void> {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    const slow = setTimeout(() => socket.destroy(), GREETING_MS);
    socket.once('close', () => {
      clearTimeout(slow);
      this.#sockets.delete(socket);
    });
    const greeting = await greet(socket, {
      passwords: true,
      connectionsOnly: true,
      page: (path) => this.#page(path),
    });
    clearTimeout(slow);
    if (greeting) await this.#connect(socket, greeting);
  }

  #page(path: string): { type: string; text: string } | undefined {
    if (path !== '/proxy.pac') return undefined;
    const { host } = this.#options;
    const at = `${host.includes(':') ? `[${host}]` : host}:${this.port}`;
    const text =
      'function FindProxyForURL(url, host) {\n' +
      `  return dnsDomainIs(host, ".mpo") ? "SOCKS5 ${at}; PROXY ${at}" : "DIRECT";\n}\n`;
    return { type: 'application/x-ns-proxy-autoconfig', text };
  }

  async #connect(socket: Socket, { to, answer, password }: Greeting): Promise<void> {
    const { node, log } = this.#options;
    const gone = new AbortController();
    socket.once('close', () => gone.abort(new Error('the program went away')));
    try {
      const peer = this.#peerOf(to.host);
      const name = await this.#teleportation(peer, to.port, password, gone.signal);
      const stream = await node.sources.connect(name, gone.signal);
      node.sources.get(name)?.traffic.add(socket);
      this.#count('succeeded');
      answer('succeeded');
      splice(socket, stream, { halfClose: node.sources.halfClose(name), dialled: false });
    } catch (error) {
      const { outcome, text } = failure(error);
      this.#count(outcome);
      log.info(`proxy: ${to.host.slice(0, 80)}:${to.port}: ${text}`);
      answer(outcome, text);
    }
  }

  /** @throws NoPeer for what leads to nobody */
  #peerOf(host: string): string {
    if (isIP(host)) throw new NoPeer('unreachable');
    const [, name] = /^([a-z0-9-]+)\.mpo\.?$/i.exec(host) ?? [];
    if (name === undefined) throw new NoPeer('not-found');
    const known = this.#options.lookup(name.toLowerCase());
    if (known !== undefined) return known;
    try {
      return formatMeepoId(parseMeepoId(name));
    } catch {
      throw new NoPeer('not-found');
    }
  }

  #teleportation(
    peer: string,
    port: number,
    secret: string | undefined,
    signal: AbortSignal,
  ): Promise<string> {
    const key = JSON.stringify([peer, port, secret ?? '']);
    const making = this.#making.get(key);
    if (making) return making;
    const known = this.#names.get(key);
    if (known !== undefined && this.#options.node.sources.get(known)) return Promise.resolve(known);
    const made = this.#make(key, peer, port, secret).finally(() => this.#making.delete(key));
    made.catch(() => {});
    this.#making.set(key, made);
    return Promise.race([
      made,
      new Promise<never>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      }),
    ]);
  }

  async #make(key: string, peer: string, port: number, secret: string | undefined): Promise<string> {
    const { node } = this.#options;
    for (const [old, name] of this.#names) if (!node.sources.get(name)) this.#names.delete(old);
    // The peer sees the name, so that nothing of the secret may be in it.
    const name = `socks5:${peer}:${port}${secret ? `:${randomBytes(4).toString('hex')}` : ''}`;
    const transport = await node.transports.ensure(peer);
    const request = { peer, remote: `127.0.0.1:${port}`, name, network: 'socks5' } as const;
    await node.sources.create(transport, { ...request, ...(secret && { secret }) });
    this.#names.set(key, name);
    return name;
  }

  #closeIdle(): void {
    const { node } = this.#options;
    for (const name of node.sources.idle(IDLE_MS)) void node.closeTeleportation(name).catch(() => {});
  }
}

class NoPeer extends Error {
  readonly outcome: Outcome;

  constructor(outcome: Outcome) {
    super('only <id>.mpo leads anywhere here');
    this.outcome = outcome;
  }
}

/** The peer's words (Go's, from a real node) as what a program can be told. */
function failure(error: unknown): { readonly outcome: Outcome; readonly text: string } {
  const text = errorText(error);
  if (error instanceof NoPeer) return { outcome: error.outcome, text };
  const refused = isAwlError(error, 'MEEPO_REFUSED');
  if (refused && /^(acl|unauthorized): /.test(text)) return { outcome: 'forbidden', text };
  if (refused && /connection refused/.test(text)) return { outcome: 'refused', text };
  if (refused && /unreachable|no route/.test(text)) return { outcome: 'unreachable', text };
  if (refused && /timeout/.test(text)) return { outcome: 'timeout', text };
  return { outcome: 'not-found', text };
}
