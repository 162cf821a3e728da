import { createHash, createPublicKey, verify } from 'node:crypto';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import type { PunchRole } from '../wire/confirm.js';
import {
  decodeRelay,
  encodeRelay,
  type RelayMessage,
  type RelayRefusal,
  relaySigned,
} from '../wire/relay.js';
import { Bucket, Buckets } from './bucket.js';
import { checkCookie, makeCookie } from './cookie.js';
import {
  RELAY_ASKS,
  RELAY_CLAIMS,
  RELAY_CLAIMS_TOTAL,
  RELAY_DATAGRAM_BYTES,
  RELAY_IDLE_MS,
  RELAY_RATE,
  RELAY_RATE_TOTAL,
  RELAY_SESSIONS,
  RELAY_SESSIONS_PER_KEY,
  RELAY_SOURCES,
  RELAY_WAIT_MS,
} from './limits.js';

type Bind = Extract<RelayMessage, { type: 'bind' }>;

/** A datagram that leaves. */
export interface Outgoing {
  readonly data: Uint8Array;
  readonly to: Endpoint;
}

export interface RelayStats {
  /** Sessions with both sides, and those in which one waits. */
  readonly sessions: number;
  readonly waiting: number;
  readonly refused: number;
  readonly forwarded: number;
  readonly bytes: number;
  /** Over a rate, or too large. */
  readonly dropped: number;
}

/** One session as its operator sees it: who, from where, how much; nothing of what. */
export interface RelayedSession {
  readonly ageMs: number;
  readonly bytes: number;
  readonly dropped: number;
  /** One of them as long as the other one is waited for. */
  readonly sides: readonly { readonly role: PunchRole; readonly who: string; readonly at: string }[];
}

export interface RelayDeskOptions {
  /** Under which addresses clients may know this relay. */
  readonly names: readonly Endpoint[];
  /** 32 random bytes that never leave the process. */
  readonly secret: Buffer;
  /** Whether the key with this fingerprint (hex SHA-256 of its SubjectPublicKeyInfo) may use the relay. */
  readonly allows: (fingerprint: string) => boolean;
}

/** One end of a relayed session, where it was proved to be. */
interface Side {
  readonly fingerprint: string;
  readonly at: Endpoint;
  readonly nonce: Buffer;
  readonly cookie: Buffer;
}

interface Session {
  readonly id: string;
  readonly sides: Partial<Record<PunchRole, Side>>;
  readonly rate: Bucket;
  readonly begunAt: number;
  seenAt: number;
  bytes: number;
  dropped: number;
}

/**
 * What a relay does with each datagram. Pure: datagrams and a steady clock in milliseconds in, datagrams out.
 * Nothing is kept for an address before it brought back its cookie, and nothing is relayed before a key of the allow
 * list signed for it. Two that prove the same session id are each other's peer until nothing comes for a while.
 */
export class RelayDesk {
  readonly #options: RelayDeskOptions;
  readonly #sessions = new Map<string, Session>();
  /** By the client's address: whose datagrams these are. */
  readonly #sources = new Map<string, { readonly session: Session; readonly role: PunchRole }>();
  readonly #asks = new Buckets(RELAY_ASKS, RELAY_SOURCES);
  readonly #claims = new Buckets(RELAY_CLAIMS, RELAY_SOURCES);
  readonly #allClaims: Bucket;
  readonly #allBytes: Bucket;
  readonly #count = { refused: 0, forwarded: 0, bytes: 0, dropped: 0 };

  constructor(options: RelayDeskOptions, now: number) {
    this.#options = options;
    this.#allClaims = new Bucket(RELAY_CLAIMS_TOTAL, now);
    this.#allBytes = new Bucket(RELAY_RATE_TOTAL, now);
  }

  get stats(): RelayStats {
    const both = [...this.#sessions.values()].filter(({ sides }) => sides.invite && sides.accept).length;
    return { sessions: both, waiting: this.#sessions.size - both, ...this.#count };
  }

  /** The sessions of now, the oldest first; `nameOf` says whose key a fingerprint is. */
  open(now: number, nameOf: (fingerprint: string) => string): RelayedSession[] {
    return [...this.#sessions.values()].map(({ begunAt, bytes, dropped, sides }) => ({
      ageMs: Math.round(now - begunAt),
      bytes,
      dropped,
      sides: (['invite', 'accept'] as const).flatMap((role) => {
        const side = sides[role];
        return side ? [{ role, who: nameOf(side.fingerprint), at: formatEndpoint(side.at) }] : [];
      }),
    }));
  }

  /** What one datagram leads to. */
  receive(data: Uint8Array, from: Endpoint, now: number): Outgoing[] {
    const message = decodeRelay(data);
    if (message?.type === 'ask') return this.#challenge(message.nonce, from, now);
    if (message?.type === 'bind') return this.#bind(message, from, now);
    return this.#forward(data, from, now);
  }

  /** Forgets sessions that are over; to be called every few seconds. */
  tick(now: number): void {
    for (const session of this.#sessions.values()) {
      const { sides, seenAt } = session;
      const patience = sides.invite && sides.accept ? RELAY_IDLE_MS : RELAY_WAIT_MS;
      if (now - seenAt <= patience) continue;
      for (const side of [sides.invite, sides.accept]) this.#release(side, session);
      this.#sessions.delete(session.id);
    }
  }

  #challenge(nonce: Buffer, from: Endpoint, now: number): Outgoing[] {
    if (from.port === 0 || !this.#asks.take(from.address, now)) return [];
    const cookie = makeCookie(this.#options.secret, from, nonce, now);
    return [{ data: encodeRelay({ type: 'challenge', nonce, cookie }), to: from }];
  }

  #bind(claim: Bind, from: Endpoint, now: number): Outgoing[] {
    const known = this.#sources.get(formatEndpoint(from));
    const side = known?.session.sides[known.role];
    if (known && side?.cookie.equals(claim.cookie) && side.nonce.equals(claim.nonce)) {
      // Our answer was lost, or it asks whether the other one has come.
      known.session.seenAt = now;
      return [this.#bound(side, known.session)];
    }
    if (!checkCookie(this.#options.secret, claim.cookie, from, claim.nonce, now)) return [];
    if (!this.#claims.take(from.address, now) || !this.#allClaims.take(1, now)) return [];
    const fingerprint = createHash('sha256').update(claim.key).digest('hex');
    if (!this.#options.allows(fingerprint)) return this.#refuse(claim, from, 'not-allowed');
    // Somebody who has the certificate of an allowed identity learns no more than a stranger.
    if (!this.#isSigned(claim)) return this.#refuse(claim, from, 'not-allowed');
    return this.#seat(claim, { fingerprint, at: from, nonce: claim.nonce, cookie: claim.cookie }, now);
  }

  #isSigned(claim: Bind): boolean {
    try {
      const key = createPublicKey({ key: claim.key, format: 'der', type: 'spki' });
      return this.#options.names.some((name) =>
        verify('sha256', relaySigned(name, claim.nonce, claim), key, claim.signature),
      );
    } catch {
      return false;
    }
  }

  #seat(claim: Bind, side: Side, now: number): Outgoing[] {
    const id = claim.session.toString('hex');
    const { role } = claim;
    const other = role === 'invite' ? 'accept' : 'invite';
    const old = this.#sessions.get(id);
    const there = old?.sides[role];
    const stranger = there && there.fingerprint !== side.fingerprint;
    if (stranger || old?.sides[other]?.fingerprint === side.fingerprint) {
      return this.#refuse(claim, side.at, 'taken');
    }
    const source = this.#sources.get(formatEndpoint(side.at));
    if (!old && source?.session.id !== id && this.#isFull(side.fingerprint)) {
      return this.#refuse(claim, side.at, 'full');
    }
    if (source) this.#leave(source.session, source.role);
    const session = old ?? this.#newSession(id, now);
    this.#release(there, session);
    session.sides[role] = side;
    session.seenAt = now;
    this.#sessions.set(id, session);
    this.#sources.set(formatEndpoint(side.at), { session, role });
    const both = [side, session.sides[other]].filter((one) => one !== undefined);
    return both.map((one) => this.#bound(one, session));
  }

  #newSession(id: string, now: number): Session {
    const rate = new Bucket(RELAY_RATE, now);
    return { id, sides: {}, rate, begunAt: now, seenAt: now, bytes: 0, dropped: 0 };
  }

  #isFull(fingerprint: string): boolean {
    if (this.#sessions.size >= RELAY_SESSIONS) return true;
    const own = [...this.#sessions.values()].filter(({ sides }) =>
      [sides.invite, sides.accept].some((side) => side?.fingerprint === fingerprint),
    );
    return own.length >= RELAY_SESSIONS_PER_KEY;
  }

  /** A client that binds anew from the same port has done with what it had before. */
  #leave(session: Session, role: PunchRole): void {
    this.#release(session.sides[role], session);
    delete session.sides[role];
    if (!session.sides.invite && !session.sides.accept) this.#sessions.delete(session.id);
  }

  #release(side: Side | undefined, session: Session): void {
    const key = side && formatEndpoint(side.at);
    if (key !== undefined && this.#sources.get(key)?.session === session) this.#sources.delete(key);
  }

  #bound({ at, nonce }: Side, { sides }: Session): Outgoing {
    const ready = sides.invite !== undefined && sides.accept !== undefined;
    return { data: encodeRelay({ type: 'bound', nonce, ready }), to: at };
  }

  #refuse({ nonce }: Bind, to: Endpoint, reason: RelayRefusal): Outgoing[] {
    this.#count.refused += 1;
    return [{ data: encodeRelay({ type: 'refused', nonce, reason }), to }];
  }

  #forward(data: Uint8Array, from: Endpoint, now: number): Outgoing[] {
    const source = this.#sources.get(formatEndpoint(from));
    if (!source) return [];
    const { session, role } = source;
    const to = session.sides[role === 'invite' ? 'accept' : 'invite']?.at;
    if (!to) return [];
    session.seenAt = now;
    const size = data.length;
    if (size > RELAY_DATAGRAM_BYTES || !session.rate.take(size, now) || !this.#allBytes.take(size, now)) {
      this.#count.dropped += 1;
      session.dropped += 1;
      return [];
    }
    this.#count.forwarded += 1;
    this.#count.bytes += size;
    session.bytes += size;
    return [{ data, to }];
  }
}
