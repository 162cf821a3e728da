import { AwlError, errorText } from '../errors.js';
import type { Logger } from '../log.js';
import type { RedisPlace } from '../rendezvous/meepo/place.js';
import type { Rendezvous } from '../rendezvous/types.js';
import { sleep } from '../util/sleep.js';
import { isMeepoId, parseMeepoId } from '../wire/meepo/id.js';
import type { MeepoKeys } from '../wire/meepo/keys.js';
import { bodyField, encodeBody } from '../wire/meepo/packet.js';
import { Access, type AccessSettings } from './access.js';
import type { Handler } from './conversation.js';
import { LetterSignaling } from './letter-signaling.js';
import { LINGER_MS } from './limits.js';
import type { LinkState } from './link.js';
import { type TeleportationInfo, type TransportInfo, teleportationInfos, transportInfos } from './lists.js';
import { RedisSignaling } from './redis-signaling.js';
import { Selfmesh } from './selfmesh.js';
import type { Signaler } from './signaling.js';
import { Sinks } from './sinks.js';
import { Sources, type TeleportRequest } from './sources.js';
import type { NodeStatus } from './status.js';
import type { Transport } from './transport.js';
import { Transports } from './transports.js';
import type { WebrtcSettings } from './webrtc.js';

export interface NodeOptions {
  readonly keys: MeepoKeys;
  readonly webrtc: WebrtcSettings;
  readonly access: AccessSettings;
  readonly redis?: RedisPlace;
  /** A rendezvous that carries offers instead; the node closes it. */
  readonly letters?: Rendezvous;
  /** Awl's own paths to nodes that are awl, too; default true. */
  readonly passages?: boolean;
  /** Ask the router for ports for them; default true. */
  readonly portMapping?: boolean;
  /** Signal through peers, too, and for them. */
  readonly selfmesh?: boolean;
  /** Never send a secret to a node that is no awl: a real one takes only a form that it can use elsewhere. */
  readonly awlSecretsOnly?: boolean;
  readonly log: Logger;
}

const NOTHING = Buffer.alloc(0);
const EMPTY = encodeBody({});

/** A Meepo node: paths to peers, and what is teleported over them. */
export class MeepoNode {
  readonly id: string;
  readonly access: Access;
  readonly transports: Transports;
  readonly sources: Sources;
  readonly sinks: Sinks;
  readonly #options: NodeOptions;
  readonly #redis: RedisSignaling | undefined;
  readonly #letters: LetterSignaling | undefined;
  readonly #mesh: Selfmesh | undefined;
  #closed: Promise<void> | undefined;
  /** Of paths that are gone. */
  #strays = 0;

  /** @throws AwlError CONFIG_SYNTAX for a rule that is none */
  constructor(options: NodeOptions) {
    const { keys, log, webrtc, redis, passages, portMapping } = options;
    this.#options = options;
    this.id = keys.id;
    this.access = new Access(options.access);
    this.sources = new Sources({ id: keys.id, log, awlSecretsOnly: options.awlSecretsOnly === true });
    this.sinks = new Sinks({ id: keys.id, access: this.access, log });
    this.transports = new Transports({
      ...{ keys, webrtc, log },
      ...(passages !== undefined && { passages }),
      ...(portMapping !== undefined && { portMapping }),
      onlyAwls: !redis,
      signalers: () => this.#signalers(),
      handlers: (transport) => this.#handlers(transport),
      broadcast: async (transport, packet) => this.#mesh?.receive(packet, transport),
      onStream: (transport, label, stream) => this.sinks.join(transport, label, stream),
      onGone: (transport) => {
        this.#strays += transport.conversation.strays;
        this.sources.forget(transport);
        this.sinks.forget(transport);
      },
    });
    const answer = this.transports.answer.bind(this.transports);
    if (options.selfmesh !== false) {
      this.#mesh = new Selfmesh({ keys, answer, connected: () => this.transports.connected });
    }
    if (options.letters) {
      this.#letters = new LetterSignaling({ id: keys.id, link: options.letters, answer, log });
    }
    if (redis) {
      this.#redis = new RedisSignaling({ id: keys.id, place: redis, answer, log });
    }
  }

  /** Begins a transport and does not wait. @throws AwlError MEEPO_REFUSED if there is one */
  newTransport(peer: string): { readonly peerID: string; readonly state: LinkState } {
    if (this.transports.get(peer)) throw new AwlError('MEEPO_REFUSED', 'transport exists');
    if (isMeepoId(peer)) void this.transports.ensure(peer).catch(() => {});
    else this.#options.log.info(`no transport: ${JSON.stringify(peer.slice(0, 60))} is no MeepoID`);
    return { peerID: peer, state: 'new' };
  }

  /** Tells the peer, then ends it. @throws AwlError MEEPO_REFUSED "transport not exists" */
  async closeTransport(peer: string): Promise<void> {
    const transport = this.transports.need(peer);
    try {
      await transport.conversation.request('closeTransport', NOTHING, AbortSignal.timeout(LINGER_MS));
    } catch (error) {
      this.#options.log.debug(`closing the transport to ${peer}: ${errorText(error)}`);
    }
    await transport.close();
  }

  /** @throws AwlError MEEPO_REFUSED, MEEPO_UNAVAILABLE */
  async ping(peer: string, payload = ''): Promise<void> {
    const body = encodeBody({ Payload: payload });
    const answer = await this.transports.need(peer).conversation.request('ping', body);
    if (bodyField(answer, 'Payload') !== payload) {
      throw new AwlError('MEEPO_REFUSED', 'Unmatched pong payload');
    }
  }

  /** Makes the transport, too, if there is none; one that leads to the same place is used again. */
  async teleport(request: TeleportRequest, signal?: AbortSignal): Promise<TeleportationInfo> {
    parseMeepoId(request.peer);
    const transport = await this.transports.ensure(request.peer, signal);
    const known = this.sources.find(request.peer, request.remote);
    const source = known ?? (await this.sources.create(transport, request, signal));
    return this.#info(source.name);
  }

  /** @throws AwlError MEEPO_REFUSED "transport not exists" */
  async newTeleportation(request: TeleportRequest): Promise<TeleportationInfo> {
    const source = await this.sources.create(this.transports.need(request.peer), request);
    return this.#info(source.name);
  }

  /** Ends a teleportation of either side, by name. @throws AwlError MEEPO_REFUSED */
  async closeTeleportation(name: string): Promise<void> {
    const source = this.sources.get(name);
    const sink = source ?? this.sinks.all.find((one) => one.name === name);
    if (!sink) throw new AwlError('MEEPO_REFUSED', 'teleportation not exists');
    const transport = this.transports.get(sink.peer);
    if (source) this.sources.close(name);
    else if (transport) this.sinks.close(transport, name);
    const told = transport?.conversation.request('closeTeleportation', encodeBody({ Name: name }));
    await told?.catch((error: unknown) => this.#options.log.debug(`closing ${name}: ${errorText(error)}`));
  }

  listTransports(): TransportInfo[] {
    return transportInfos(this.transports);
  }

  listTeleportations(): TeleportationInfo[] {
    return teleportationInfos(this);
  }

  /** What it does at this moment. */
  status(): NodeStatus {
    const now = performance.now();
    const open = this.transports.all.map((one) => one.conversation.strays);
    const traffic = [...this.sources.all, ...this.sinks.all].map((one) => one.traffic.counts);
    return {
      id: this.id,
      access: this.access.summary,
      signaling: [this.#redis, this.#letters].flatMap((one) => one?.status ?? []),
      transports: this.transports.all.map(({ peer, state, kind, isAwl, channels, conversation, madeAt }) => ({
        ...{ peerID: peer, state, ...(kind && { kind }), awl: isAwl, channels: channels.length },
        ...{ ageMs: Math.round(now - madeAt), strays: conversation.strays },
      })),
      // As they are listed: ours first.
      teleportations: this.listTeleportations().map((one, i) => ({
        ...one,
        ...(traffic[i] ?? { connected: 0, sent: 0, received: 0 }),
      })),
      connected: this.transports.connectedEver,
      dialled: this.sinks.counts.dialled,
      refused: this.sinks.counts.refused,
      strays: open.reduce((sum, one) => sum + one, this.#strays),
      mesh: this.#mesh ? { ...this.#mesh.counts } : null,
    };
  }

  /** Takes leave of every peer and ends. Idempotent, never rejects. */
  close(): Promise<void> {
    this.#closed ??= this.#shut();
    return this.#closed;
  }

  async #shut(): Promise<void> {
    const peers = this.transports.connected;
    await Promise.all(peers.map(({ peer }) => this.closeTransport(peer).catch(() => {})));
    for (const { name } of this.sources.all) this.sources.close(name);
    await this.transports.close();
    await Promise.all([this.#redis?.close(), this.#letters?.close()]);
  }

  #info(name: string): TeleportationInfo {
    const found = this.listTeleportations().find((one) => one.portal === 'source' && one.name === name);
    if (found) return found;
    throw new AwlError('MEEPO_UNAVAILABLE', 'transport closed');
  }

  #signalers(): Signaler[] {
    // As the real one: neighbours first, then the server.
    return [this.#mesh, this.#redis, this.#letters].filter((one) => one !== undefined);
  }

  #handlers(transport: Transport): Readonly<Record<string, Handler>> {
    return {
      ...this.sinks.handlers(transport),
      ping: async (body) => encodeBody({ Payload: bodyField(body, 'Payload') }),
      closeTeleportation: async (body) => this.#closeForPeer(transport, bodyField(body, 'Name')),
      closeTransport: async () => {
        // The real one crashes if the answer is lost with the path.
        void sleep(LINGER_MS).then(() => transport.close());
        return NOTHING;
      },
    };
  }

  /** Only the two ends of a teleportation may close it. */
  #closeForPeer(transport: Transport, name: string): Buffer {
    const own = this.sources.get(name);
    const closed =
      this.sinks.close(transport, name) || (own?.peer === transport.peer && this.sources.close(name));
    if (!closed) throw new AwlError('MEEPO_REFUSED', 'teleportation not exists');
    return EMPTY;
  }
}
