import {
  createHash,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  randomBytes,
} from 'node:crypto';
import { networkInterfaces } from 'node:os';
import { PUNCH_HOPS } from '../constants.js';
import { AwlError } from '../errors.js';
import type { Logger } from '../log.js';
import { punch } from '../punch/puncher.js';
import { bind } from '../stun/client.js';
import { resolveServers } from '../stun/resolve.js';
import { greet } from '../tunnel/greeting.js';
import { openUdx } from '../tunnel/udx.js';
import type { Endpoint } from '../util/endpoint.js';
import { UdpSocket } from '../util/udp.js';
import { deriveConfirmKey, type PunchRole } from '../wire/confirm.js';
import type { Candidate } from '../wire/extension.js';
import { deriveTunnelKeys } from '../wire/tunnel-keys.js';
import { PASSAGE_MS, PASSAGE_STUN_MS } from './limits.js';
import type { LinkEvents } from './link.js';
import { PassageLink } from './passage-link.js';
import { decodePassageWord, encodePassageWord, type PassageWord } from './passage-word.js';
import type { WebrtcSettings } from './webrtc.js';

/** DER of an X25519 SubjectPublicKeyInfo up to the 32 key bytes, RFC 8410 section 4. */
const SPKI = Buffer.from('302a300506032b656e032100', 'hex');
const STUN_SERVERS_MAX = 4;
const STUN_PORT = 3478;

/** `stun:host[:port]` entries of the configuration. */
function stunServers(iceServers: readonly string[]): { host: string; port: number }[] {
  return iceServers
    .flatMap((text) => {
      const [, host, port] = /^stun:([^:?]+)(?::(\d{1,5}))?$/.exec(text) ?? [];
      return host === undefined ? [] : [{ host, port: Number(port ?? STUN_PORT) }];
    })
    .slice(0, STUN_SERVERS_MAX);
}

async function reflexive(socket: UdpSocket, iceServers: readonly string[]): Promise<Endpoint | undefined> {
  const servers = stunServers(iceServers);
  if (servers.length === 0) return undefined;
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(PASSAGE_STUN_MS)]);
  try {
    const endpoints = await resolveServers(servers, socket.local, signal);
    return await Promise.any(
      endpoints.map(async (server) => (await bind(socket, server, { signal })).mapped),
    );
  } catch {
    return undefined;
  } finally {
    stop.abort();
  }
}

function ownHosts({ port }: Endpoint, only: string | undefined): Endpoint[] {
  if (only !== undefined) return [{ address: only, port }];
  return Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => ({ address, port }));
}

/** Our half of an attempt to meet without WebRTC: a port, and what the peer must know of it. */
export class PassageHalf {
  readonly word: string;
  readonly #own: PassageWord;
  readonly #socket: UdpSocket;
  readonly #privateKey: ReturnType<typeof generateKeyPairSync>['privateKey'];
  readonly #loopback: boolean;
  #used = false;

  private constructor(socket: UdpSocket, at: Endpoint, hosts: readonly Endpoint[], loopback: boolean) {
    const { publicKey, privateKey } = generateKeyPairSync('x25519');
    const dh = publicKey.export({ type: 'spki', format: 'der' }).subarray(SPKI.length);
    this.#socket = socket;
    this.#privateKey = privateKey;
    this.#loopback = loopback;
    this.#own = { at, hosts, puzzle: randomBytes(8).readBigUInt64BE(), dh };
    this.word = encodePassageWord(this.#own);
  }

  /** Undefined where there is no address that a peer could reach. */
  static async prepare(settings: WebrtcSettings): Promise<PassageHalf | undefined> {
    const { onlyAddress } = settings;
    const socket = await UdpSocket.bind({ address: onlyAddress ?? '0.0.0.0', port: 0 });
    const hosts = ownHosts(socket.local, onlyAddress);
    const at = (await reflexive(socket, settings.iceServers)) ?? hosts[0];
    if (at) return new PassageHalf(socket, at, hosts, onlyAddress !== undefined);
    await socket.close();
    return undefined;
  }

  /**
   * Punches to the peer and runs the tunnel there. Both sides call it with the same two descriptions.
   * @throws AwlError HANDSHAKE_TIMEOUT, NAT_IMPOSSIBLE, ADDRESS_REFUSED, MESSAGE_MALFORMED, TUNNEL_REFUSED
   */
  async connect(o: {
    readonly role: PunchRole;
    readonly peer: string;
    readonly word: string;
    readonly offer: string;
    readonly answer: string;
    readonly events: LinkEvents;
    readonly log: Logger;
    readonly signal: AbortSignal;
  }): Promise<PassageLink> {
    const peer = decodePassageWord(o.word);
    const own = this.#own;
    if (!peer || this.#used) throw new AwlError('MESSAGE_MALFORMED', 'the peer offers no path of awl');
    this.#used = true;
    const { confirmKey, secret } = this.#keys(peer, o.offer, o.answer);
    const candidates = (word: PassageWord): Candidate[] =>
      word.hosts.map((endpoint) => ({ type: 'host', endpoint }));
    const won = await punch({
      socket: this.#socket,
      role: o.role,
      secret,
      peer: peer.at,
      hops: PUNCH_HOPS,
      confirmKey,
      ladder: {
        fresh: [],
        ownCandidates: candidates(own),
        ownOuter: own.at,
        peerFresh: [],
        peerCandidates: candidates(peer),
        chooses: true,
        birthday: false,
        peerKey: o.peer,
      },
      timeoutMs: PASSAGE_MS,
      allowPrivate: true,
      allowLoopback: this.#loopback,
      signal: o.signal,
      log: o.log,
    });
    if (!won.confirmed) throw new AwlError('HANDSHAKE_TIMEOUT', 'the peer did not prove itself on the path');
    const sessionKey = Buffer.from(hkdfSync('sha256', confirmKey, '', 'awl meepo passage v1', 32));
    const carrier = await openUdx({
      local: won.socket.local,
      peer: won.peer,
      keys: deriveTunnelKeys(sessionKey, o.role),
      release: () => won.socket.close(),
    });
    const greeted = await greet({ carrier, hello: { exports: [] }, signal: o.signal });
    return new PassageLink(o.role, greeted, o.events, o.log);
  }

  /** Gives the port back where nothing came of it. Idempotent. */
  async close(): Promise<void> {
    await this.#socket.close();
  }

  #keys(peer: PassageWord, offer: string, answer: string): { confirmKey: Buffer; secret: bigint } {
    const secret = this.#own.puzzle ^ peer.puzzle;
    if (secret === 0n || peer.dh.equals(this.#own.dh)) {
      throw new AwlError('MESSAGE_MISDIRECTED', 'our own offer came back');
    }
    const publicKey = createPublicKey({ key: Buffer.concat([SPKI, peer.dh]), format: 'der', type: 'spki' });
    const digest = (text: string) => createHash('sha256').update(text).digest('hex');
    const confirmKey = deriveConfirmKey({
      sharedSecret: diffieHellman({ privateKey: this.#privateKey, publicKey }),
      secret,
      inviteDigest: digest(offer),
      acceptDigest: digest(answer),
    });
    return { confirmKey, secret };
  }
}
