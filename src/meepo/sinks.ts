import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { AwlError } from '../errors.js';
import type { Logger } from '../log.js';
import { bodyField, encodeBody } from '../wire/meepo/packet.js';
import type { Access, Challenge, Place } from './access.js';
import { Challenges } from './challenges.js';
import type { Body, Handler } from './conversation.js';
import { formatPlace, parsePlace, resolveDestination } from './destination.js';
import { DIAL_MS, LABEL_MS, SINKS_MAX, SINKS_PER_PEER, STREAMS_PER_PEER } from './limits.js';
import { splice } from './splice.js';
import { Traffic } from './traffic.js';
import type { Transport } from './transport.js';

/** A teleportation that a peer made: it may have connections made to one place. */
export interface Sink {
  readonly name: string;
  readonly peer: string;
  /** What the peer says of its own end. */
  readonly source: Place;
  readonly destination: Place;
  /** The destination in the peer's words. */
  readonly written: string;
  /** Connections now. */
  readonly streams: ReadonlySet<Socket>;
  readonly traffic: Traffic;
}

interface OwnSink extends Sink {
  readonly transport: Transport;
  readonly streams: Set<Socket>;
}

interface Dialled {
  readonly socket: Socket;
  readonly timer: NodeJS.Timeout;
}

const NOTHING = encodeBody({});

export interface SinksOptions {
  readonly id: string;
  readonly access: Access;
  readonly log: Logger;
}

/** The near end of what peers teleport: decides who may reach what, dials, and joins. */
export class Sinks {
  readonly #options: SinksOptions;
  /** By transport, so that no peer can name what another one made. */
  readonly #sinks = new Map<Transport, Map<string, OwnSink>>();
  readonly #dialled = new Map<Transport, Map<string, Dialled>>();
  readonly #challenges = new WeakMap<Transport, Challenges>();
  /** Connections made, and requests refused. */
  readonly counts = { dialled: 0, refused: 0 };

  constructor(options: SinksOptions) {
    this.#options = options;
  }

  get all(): readonly Sink[] {
    return [...this.#sinks.values()].flatMap((sinks) => [...sinks.values()]);
  }

  handlers(transport: Transport): Readonly<Record<string, Handler>> {
    return {
      challenge: async () => this.#challenge(transport),
      newTeleportation: (body) => this.#create(transport, body),
      doTeleport: (body) => this.#dial(transport, bodyField(body, 'Name'), bodyField(body, 'Label')),
    };
  }

  /** Closes what this peer made under that name; false if there is none. */
  close(transport: Transport, name: string): boolean {
    const sink = this.#sinks.get(transport)?.get(name);
    if (!sink) return false;
    this.#sinks.get(transport)?.delete(name);
    for (const socket of sink.streams) socket.destroy();
    return true;
  }

  /** The peer's stream for a connection that it asked for before. */
  join(transport: Transport, label: string, stream: Duplex): void {
    const dialled = this.#dialled.get(transport)?.get(label);
    if (!dialled) {
      stream.destroy();
      return;
    }
    clearTimeout(dialled.timer);
    this.#dialled.get(transport)?.delete(label);
    splice(dialled.socket, stream, { halfClose: transport.link.halfClose, dialled: true });
  }

  /** The path is gone, and everything that the peer made over it. */
  forget(transport: Transport): void {
    for (const name of [...(this.#sinks.get(transport)?.keys() ?? [])]) this.close(transport, name);
    for (const { socket, timer } of this.#dialled.get(transport)?.values() ?? []) {
      clearTimeout(timer);
      socket.destroy();
    }
    this.#sinks.delete(transport);
    this.#dialled.delete(transport);
  }

  #challenge(transport: Transport): Buffer {
    const open = this.#challenges.get(transport) ?? new Challenges();
    this.#challenges.set(transport, open);
    return encodeBody({ Nonce: open.issue().toString('base64') });
  }

  /** What a request that names a nonce of ours must answer. */
  #challenged(transport: Transport, body: Body): Challenge | undefined {
    if (!body.has('Nonce') || !transport.bindingKey) return undefined;
    const nonce = this.#challenges.get(transport)?.take(bodyField(body, 'Nonce'));
    const [name, remote] = [bodyField(body, 'Name'), bodyField(body, 'RemoteAddress')];
    const ends = { source: transport.peer, sink: this.#options.id, key: transport.bindingKey };
    return nonce && { ...ends, nonce, name, remote };
  }

  async #create(transport: Transport, body: Body): Promise<Buffer> {
    const { id, access, log } = this.#options;
    const written = bodyField(body, 'RemoteAddress');
    const [name, network] = [bodyField(body, 'Name'), bodyField(body, 'RemoteNetwork')];
    try {
      await access.checkSecret(bodyField(body, 'HashedSecret'), this.#challenged(transport, body));
      const localNetwork = bodyField(body, 'LocalNetwork');
      if (!['tcp', 'socks5'].includes(localNetwork) || network !== 'tcp')
        throw refused('unsupported network type');
      const source = parsePlace(localNetwork, bodyField(body, 'LocalAddress'));
      const destination = await resolveDestination(network, written);
      access.checkDestination(transport.peer, source, id, destination);
      this.#remember({
        name,
        peer: transport.peer,
        source,
        destination,
        written,
        transport,
        streams: new Set(),
        traffic: new Traffic(),
      });
      log.info(
        `${transport.peer} may reach ${formatPlace(destination)} as ${JSON.stringify(name.slice(0, 80))}`,
      );
      return NOTHING;
    } catch (error) {
      this.counts.refused += 1;
      throw error;
    }
  }

  #remember(sink: OwnSink): void {
    const { transport, name } = sink;
    if (transport.state === 'closed') throw refused('transport not exists');
    const mine = this.#sinks.get(transport) ?? new Map<string, OwnSink>();
    if (!mine.has(name) && (mine.size >= SINKS_PER_PEER || this.all.length >= SINKS_MAX)) {
      throw refused('too many teleportations');
    }
    this.close(transport, name);
    mine.set(name, sink);
    this.#sinks.set(transport, mine);
  }

  async #dial(transport: Transport, name: string, label: string): Promise<Buffer> {
    const sink = this.#sinks.get(transport)?.get(name);
    if (!sink) throw refused('teleportation not exists');
    // Kept before anything is awaited: connections that begin side by side share it.
    const waiting = this.#dialled.get(transport) ?? new Map<string, Dialled>();
    this.#dialled.set(transport, waiting);
    const all = [...(this.#sinks.get(transport)?.values() ?? [])];
    const streams = all.reduce((sum, one) => sum + one.streams.size, 0);
    if (waiting.has(label) || streams >= STREAMS_PER_PEER) throw refused('too many connections');
    const socket = await dial(sink.destination);
    sink.streams.add(socket);
    socket.once('close', () => sink.streams.delete(socket));
    if (transport.state === 'closed' || !this.#sinks.get(transport)?.has(name) || waiting.has(label)) {
      socket.destroy();
      throw refused(waiting.has(label) ? 'too many connections' : 'teleportation not exists');
    }
    this.counts.dialled += 1;
    sink.traffic.add(socket);
    const give = () => {
      waiting.delete(label);
      socket.destroy();
    };
    waiting.set(label, { socket, timer: setTimeout(give, LABEL_MS) });
    return NOTHING;
  }
}

function refused(why: string): AwlError {
  return new AwlError('MEEPO_REFUSED', why);
}

function dial({ host, port }: Place): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true, timeout: DIAL_MS });
    const fail = (why: string) => {
      socket.destroy();
      reject(
        new AwlError('MEEPO_UNAVAILABLE', `dial tcp ${formatPlace({ network: 'tcp', host, port })}: ${why}`),
      );
    };
    socket.once('timeout', () => fail('i/o timeout'));
    socket.once('error', (error: NodeJS.ErrnoException) => fail(WORDS[error.code ?? ''] ?? error.message));
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.removeAllListeners('timeout');
      socket.removeAllListeners('error');
      // Between now and the peer's stream nobody else listens.
      socket.on('error', () => {});
      resolve(socket);
    });
  });
}

/** Go's words, which the real one sends too; a SOCKS client is told by them what happened. */
const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  ETIMEDOUT: 'i/o timeout',
};
