import { createHash } from 'node:crypto';
import type { IdentityName } from '../identity/names.js';
import type { Logger } from '../log.js';
import type { Passage, Role } from '../session/passage.js';
import type { Side, SideWord } from '../session/side.js';
import { Station, type StationSettings } from '../session/station.js';
import type { Greeted } from '../tunnel/greeting.js';
import type { HostPort } from '../util/host-port.js';
import { PASSAGE_MS } from './limits.js';
import { PassageLink } from './passage-link.js';
import { decodePassageWord, encodePassageWord } from './passage-word.js';
import type { Transport } from './transport.js';
import type { WebrtcSettings } from './webrtc.js';

const STUN_SERVERS_MAX = 4;
const STUN_PORT = 3478;
/** The app of these sessions, and what names their two ends in logs. */
const APP = 'meepo';
export const nameOf = (id: string): IdentityName => ({ owner: id, pin: APP });

/** `stun:host[:port]` entries of the configuration. */
function stunServers(iceServers: readonly string[]): HostPort[] {
  return iceServers
    .flatMap((text) => {
      const [, host, port] = /^stun:([^:?]+)(?::(\d{1,5}))?$/.exec(text) ?? [];
      return host === undefined ? [] : [{ host, port: Number(port ?? STUN_PORT) }];
    })
    .slice(0, STUN_SERVERS_MAX);
}

/** Our side of an attempt to meet without WebRTC, and how the peer is told of it. */
export interface PassageHalf {
  readonly side: Side;
  readonly word: string;
}

/** The two descriptions of one attempt, as they were sealed, and who said what. */
export interface PassageMeeting {
  readonly role: Role;
  readonly peer: string;
  readonly theirs: SideWord;
  readonly offer: string;
  readonly answer: string;
  readonly signal: AbortSignal;
}

export interface PassagesOptions {
  readonly id: string;
  readonly webrtc: WebrtcSettings;
  /** Ask the router for ports; default true. */
  readonly portMapping?: boolean;
  readonly log: Logger;
}

/** Awl's own paths to nodes that are awl, too: sessions whose messages travel in Meepo's sealed descriptions. */
export class Passages {
  readonly settings: StationSettings;
  readonly #id: string;
  readonly #station: Station;
  readonly #log: Logger;

  constructor({ id, webrtc, portMapping = true, log }: PassagesOptions) {
    const { onlyAddress, iceServers } = webrtc;
    this.#id = id;
    this.#log = log;
    this.settings = {
      app: APP,
      stun: stunServers(iceServers),
      bind: { address: onlyAddress ?? '0.0.0.0', port: 0 },
      portMapping,
      handshakeTimeoutMs: PASSAGE_MS,
      ...(onlyAddress !== undefined && { allowLoopback: true, allowPrivate: true }),
    };
    this.#station = new Station(this.settings, log);
  }

  /** Undefined where there is no address that a peer could reach. */
  async prepare(signal: AbortSignal): Promise<PassageHalf | undefined> {
    try {
      const side = await this.#station.side(signal);
      return { side, word: encodePassageWord(side.word) };
    } catch (error) {
      signal.throwIfAborted();
      this.#log.debug(`no path of awl can be offered: ${String(error)}`);
      return undefined;
    }
  }

  /** What the peer's attribute offers, if anything. */
  read(attribute: string | undefined): SideWord | undefined {
    return attribute === undefined ? undefined : decodePassageWord(attribute);
  }

  /**
   * Punches to the peer. Both sides call it with the same two descriptions.
   * @throws AwlError HANDSHAKE_TIMEOUT, NAT_IMPOSSIBLE, ADDRESS_REFUSED, MESSAGE_*; the signal's reason
   */
  meet(
    { side }: PassageHalf,
    { role, peer, theirs, offer, answer, signal }: PassageMeeting,
  ): Promise<Passage> {
    const digest = (text: string) => createHash('sha256').update(text).digest('hex');
    return side.meet({
      role,
      host: nameOf(this.#id),
      peer: nameOf(peer),
      theirs,
      digests: { invite: digest(offer), accept: digest(answer) },
      signal,
    });
  }

  /** Has a transport use a passage on which both sides have greeted each other; `again` makes another one. */
  carry(
    transport: Transport,
    path: { readonly passage: Passage; readonly greeted: Greeted },
    again: (signal: AbortSignal) => Promise<Passage>,
  ): void {
    const { settings } = this;
    const events = transport.newEvents();
    transport.use(new PassageLink({ ...path, settings, events, again, log: this.#log }), events);
  }

  close(): void {
    this.#station.close();
  }
}
