import type { Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { AwlError, errorText } from '../errors.js';
import type { Logger } from '../log.js';
import { bodyField, encodeBody } from '../wire/meepo/packet.js';
import { bcryptSecret, type Place, proveSecret } from './access.js';
import { formatPlace, parsePlace } from './destination.js';
import { STREAMS_PER_PEER } from './limits.js';
import { openListener } from './listener.js';
import { splice } from './splice.js';
import { Traffic } from './traffic.js';
import type { Transport } from './transport.js';

/** What `teleport` and `teleportation new` ask for. */
export interface TeleportRequest {
  readonly peer: string;
  readonly remote: string;
  readonly name?: string;
  /** `HOST:PORT`; a free loopback port without it. */
  readonly local?: string;
  readonly secret?: string;
  /** `socks5` for what the proxy makes: it has no listener of its own. */
  readonly network?: 'tcp' | 'socks5';
}

/** A teleportation that we made: our end listens, the peer's end dials. */
export interface Source {
  readonly name: string;
  readonly peer: string;
  readonly source: Place;
  /** The peer's end, in the words that we sent. */
  readonly remote: string;
  readonly streams: ReadonlySet<Duplex>;
  readonly traffic: Traffic;
  /** True if the secret went out in the real one's form, which the peer can use elsewhere. */
  readonly exposed: boolean;
}

interface OwnSource extends Source {
  readonly transport: Transport;
  readonly streams: Set<Duplex>;
  readonly server: Server | undefined;
  count: number;
  /** When its last connection ended, for what is closed when idle. */
  idleSince: number;
}

const SOCKS: Place = { network: 'socks5', host: '0.0.0.0', port: 0 };

export interface SourcesOptions {
  readonly id: string;
  readonly log: Logger;
  /** Never send a secret to a node that is no awl. */
  readonly awlSecretsOnly?: boolean;
}

/** What `newTeleportation` says of the secret. */
interface SecretFields {
  readonly HashedSecret: string;
  /** The challenge that it answers, toward awl. */
  readonly Nonce?: string;
}

/** The far end of what we teleport: listens, and asks the peer for every connection. */
export class Sources {
  readonly #options: SourcesOptions;
  readonly #sources = new Map<string, OwnSource>();

  constructor(options: SourcesOptions) {
    this.#options = options;
  }

  get all(): readonly Source[] {
    return [...this.#sources.values()];
  }

  get(name: string): Source | undefined {
    return this.#sources.get(name);
  }

  /** A teleportation with a listener to the same place, as `teleport` returns it again. */
  find(peer: string, remote: string): Source | undefined {
    return this.all.find((one) => one.peer === peer && one.remote === remote && one.source.network === 'tcp');
  }

  /** @throws AwlError TCP_BIND, MEEPO_REFUSED, MEEPO_UNAVAILABLE, USAGE_BAD_VALUE */
  async create(transport: Transport, request: TeleportRequest, signal?: AbortSignal): Promise<Source> {
    const { remote, network = 'tcp' } = request;
    parsePlace('tcp', remote);
    const plain = `tcp:${remote}`;
    // Two peers may have the same service: only a name that somebody typed must be free.
    const name = request.name || (this.#sources.has(plain) ? `${plain}:${transport.peer}` : plain);
    if (this.#sources.has(name)) {
      throw new AwlError('MEEPO_REFUSED', `teleportation exists: ${name.slice(0, 100)}`, {
        hint: 'choose another name with -n, or close that one',
      });
    }
    const listener = network === 'tcp' ? await openListener(request.local) : undefined;
    const source = listener?.place ?? SOCKS;
    try {
      const secret = await this.#secretFields(transport, request.secret, name, remote, signal);
      const body = encodeBody({
        Name: name,
        LocalNetwork: source.network,
        LocalAddress: formatPlace(source),
        RemoteNetwork: 'tcp',
        RemoteAddress: remote,
        ...secret,
      });
      await transport.conversation.request('newTeleportation', body, signal);
      if (transport.state === 'closed') throw new AwlError('MEEPO_UNAVAILABLE', 'transport closed');
      const made: OwnSource = {
        ...{ name, peer: transport.peer, source, remote, transport, server: listener?.server },
        streams: new Set(),
        traffic: new Traffic(),
        exposed: secret.HashedSecret !== '' && secret.Nonce === undefined,
        count: 0,
        idleSince: performance.now(),
      };
      this.#sources.set(name, made);
      listener?.server.on('connection', (socket: Socket) => void this.#serve(made, socket));
      return made;
    } catch (error) {
      listener?.server.close();
      throw error;
    }
  }

  /** Opens one connection of a teleportation. @throws AwlError with the peer's words */
  async connect(name: string, signal?: AbortSignal): Promise<Duplex> {
    const source = this.#sources.get(name);
    if (!source) throw new AwlError('MEEPO_REFUSED', 'teleportation not exists');
    const { transport } = source;
    if (source.streams.size >= STREAMS_PER_PEER) throw new AwlError('LIMIT_REACHED', 'too many connections');
    source.count += 1;
    source.idleSince = performance.now();
    const label = `${name}:${source.count}`;
    await transport.conversation.request('doTeleport', encodeBody({ Name: name, Label: label }), signal);
    const stream = await transport.link.openStream(label);
    source.streams.add(stream);
    stream.once('close', () => {
      source.streams.delete(stream);
      source.idleSince = performance.now();
    });
    return stream;
  }

  /** True if the wire under it tells the end of one direction from the end of both. */
  halfClose(name: string): boolean {
    return this.#sources.get(name)?.transport.link.halfClose ?? false;
  }

  /** Ends it here, without a word to the peer; false if there is none of that name. */
  close(name: string): boolean {
    const source = this.#sources.get(name);
    if (!source) return false;
    this.#sources.delete(name);
    source.server?.close();
    for (const stream of source.streams) stream.destroy();
    return true;
  }

  /** Names of proxy-made ones that nobody has used for so long. */
  idle(ms: number): string[] {
    const before = performance.now() - ms;
    return [...this.#sources.values()]
      .filter(({ server, streams, idleSince }) => !server && streams.size === 0 && idleSince < before)
      .map(({ name }) => name);
  }

  forget(transport: Transport): void {
    for (const source of [...this.#sources.values()]) {
      if (source.transport === transport) this.close(source.name);
    }
  }

  /**
   * Another awl is given the answer to a challenge of its own, which is good for nothing else. The real one takes only a
   * hash that whoever has it can use elsewhere.
   */
  async #secretFields(
    transport: Transport,
    secret: string | undefined,
    name: string,
    remote: string,
    signal: AbortSignal | undefined,
  ): Promise<SecretFields> {
    if (secret === undefined || secret === '') return { HashedSecret: '' };
    const { isAwl, bindingKey: key, peer, conversation } = transport;
    const { id, log, awlSecretsOnly } = this.#options;
    if (isAwl && key) {
      const answer = await conversation.request('challenge', Buffer.alloc(0), signal);
      const Nonce = bodyField(answer, 'Nonce');
      const nonce = Buffer.from(Nonce, 'base64');
      const HashedSecret = await proveSecret(secret, { source: id, sink: peer, key, nonce, name, remote });
      return { HashedSecret, Nonce };
    }
    if (awlSecretsOnly) {
      throw new AwlError('MEEPO_REFUSED', 'the peer is no awl, and secrets go to awl only', {
        hint: 'a real Meepo takes a bcrypt hash that it can use elsewhere; awlSecretsOnly: false sends it',
      });
    }
    log.warning(exposureNote(peer));
    return { HashedSecret: await bcryptSecret(secret) };
  }

  async #serve(source: OwnSource, socket: Socket): Promise<void> {
    socket.on('error', () => {});
    try {
      const stream = await this.connect(source.name);
      source.traffic.add(socket);
      splice(socket, stream, { halfClose: source.transport.link.halfClose, dialled: false });
    } catch (error) {
      this.#options.log.info(`${source.name}: ${errorText(error)}`);
      // A reset says that there is nobody; an ordinary end would look like an empty answer.
      socket.resetAndDestroy();
    }
  }
}

/** What to say when a secret goes out in the real one's form. */
export function exposureNote(peer: string): string {
  return (
    `${peer} is no awl: it got the secret as a bcrypt hash, which it can use at other nodes with the same secret ` +
    '(awlSecretsOnly: true refuses that)'
  );
}
