import { randomBytes } from 'node:crypto';
import { errorText } from '../errors.js';
import { formatName } from '../identity/names.js';
import { AppRepository } from '../identity/repository.js';
import { type Logger, silentLogger } from '../log.js';
import type { Endpoint } from '../util/endpoint.js';
import { UdpSocket } from '../util/udp.js';
import { RelayDesk, type RelayedSession, type RelayStats } from './desk.js';

/** How soon somebody who was trusted, or is no longer, is noticed. */
const READ_AGAIN_MS = 10_000;
const TICK_MS = 5000;
/** Of a fingerprint that has no name: enough to find it in a list. */
const FINGERPRINT_SHOWN = 16;

export interface RelayServerOptions {
  readonly local: Endpoint;
  /** The address by which clients reach it, where that is none of this machine. */
  readonly public?: string;
  /** Whoever is in this app repository may use the relay. */
  readonly repo?: string;
  /** And whoever has one of these fingerprints, lower-case hex. */
  readonly fingerprints?: readonly string[];
  readonly log?: Logger;
}

/** A relay on one UDP port: the desk with a socket, a clock and the allow list. */
export class RelayServer {
  /** What clients name. */
  readonly endpoint: Endpoint;
  readonly #socket: UdpSocket;
  readonly #desk: RelayDesk;
  readonly #options: RelayServerOptions;
  readonly #log: Logger;
  readonly #timers: readonly NodeJS.Timeout[];
  /** Names by fingerprint; the empty one for a fingerprint that was named itself. */
  #allowed: ReadonlyMap<string, string> = new Map();

  private constructor(socket: UdpSocket, options: RelayServerOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#log = options.log ?? silentLogger;
    const { address, port } = socket.local;
    this.endpoint = { address: options.public ?? address, port };
    const now = performance.now();
    const allows = (fingerprint: string) => this.#allowed.has(fingerprint);
    const names = [this.endpoint, socket.local];
    this.#desk = new RelayDesk({ names, secret: randomBytes(32), allows }, now);
    socket.subscribe((data, from) => {
      for (const out of this.#desk.receive(data, from, performance.now())) void socket.send(out.data, out.to);
    });
    this.#timers = [
      setInterval(() => this.#desk.tick(performance.now()), TICK_MS),
      setInterval(() => void this.#read(), READ_AGAIN_MS),
    ];
  }

  /** @throws AwlError UDP_BIND, IDENTITY_UNSAFE for a repository that must not be used */
  static async start(options: RelayServerOptions): Promise<RelayServer> {
    const server = new RelayServer(await UdpSocket.bind(options.local), options);
    try {
      server.#allowed = await server.#list();
      return server;
    } catch (error) {
      await server.close();
      throw error;
    }
  }

  get stats(): RelayStats {
    return this.#desk.stats;
  }

  /** The sessions of now, with names where the repository has them. */
  get open(): RelayedSession[] {
    const nameOf = (fingerprint: string) =>
      this.#allowed.get(fingerprint) || `key ${fingerprint.slice(0, FINGERPRINT_SHOWN)}`;
    return this.#desk.open(performance.now(), nameOf);
  }

  /** How many identities may use it. */
  get allowed(): number {
    return this.#allowed.size;
  }

  /** Idempotent. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#socket.close();
  }

  async #read(): Promise<void> {
    try {
      this.#allowed = await this.#list();
    } catch (error) {
      this.#log.warning(`the relay goes on with the identities that it knew: ${errorText(error)}`);
    }
  }

  async #list(): Promise<Map<string, string>> {
    const { repo, fingerprints = [] } = this.#options;
    const entries = repo === undefined ? [] : await new AppRepository(repo).list();
    const usable = entries.flatMap(({ usable, fingerprint, name }) =>
      usable && fingerprint ? [[fingerprint, formatName(name)] as const] : [],
    );
    return new Map([...fingerprints.map((fingerprint) => [fingerprint, ''] as const), ...usable]);
  }
}
