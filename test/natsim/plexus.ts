import { PLEXUS_SLOT_MS } from '../../src/constants.js';
import { type Endpoint, sameEndpoint } from '../../src/util/endpoint.js';
import { decodeFrame, encodeFrame, type HandshakeFlag } from '../../src/wire/handshake.js';
import type { Random } from './random.js';
import type { Actor } from './world.js';

export interface PlexusOptions {
  readonly secret: bigint;
  readonly peer: Endpoint;
  readonly hops: number;
  readonly timeoutMs: number;
  /** 3.4.1 sends one more flag 1 at the end (spec f). */
  readonly generation: '3.1.4' | '3.4.1';
  /** 3.4.1 toward a text that says that the mapping depends on the destination: the port is learnt from what arrives (spec g.1). */
  readonly anyPort?: boolean;
}

type End = 'done' | 'timeout' | 'killed';

/** What both sides of plexus share: the exact peer only, and death by the first bad datagram from it (spec i.5). */
abstract class Plexus implements Actor {
  end: End | undefined;
  endedAt = 0;
  protected readonly o: PlexusOptions;
  #peer: Endpoint | undefined;
  protected readonly random: Random;
  readonly #deadline: number;
  #out: { data: Buffer; to: Endpoint; ttl?: number }[] = [];

  constructor(o: PlexusOptions, random: Random, now: number) {
    this.o = o;
    if (!o.anyPort) this.#peer = o.peer;
    this.random = random;
    this.#deadline = now + o.timeoutMs;
  }

  datagram(from: Endpoint, data: Uint8Array, now: number): void {
    const wanted = this.#peer ?? { ...this.o.peer, port: from.port };
    if (this.end || !sameEndpoint(from, wanted)) return;
    const frame = decodeFrame(this.o.secret, data);
    if (frame) {
      this.#peer = from;
      this.heard(frame.flag, now);
    } else this.finish('killed', now);
  }

  tick(now: number): void {
    if (!this.end && now >= this.#deadline) this.finish('timeout', now);
  }

  take(): { data: Buffer; to: Endpoint; ttl?: number }[] {
    const out = this.#out;
    this.#out = [];
    return out;
  }

  get nextTick(): number {
    return this.end ? Number.POSITIVE_INFINITY : this.#deadline;
  }

  protected abstract heard(flag: HandshakeFlag, now: number): void;

  protected finish(end: End, now: number): void {
    this.end = end;
    this.endedAt = now;
  }

  protected make(flag: HandshakeFlag): Buffer {
    return encodeFrame(this.o.secret, flag, this.random.bytes(7));
  }

  protected send(data: Buffer, ttl?: number): void {
    if (this.#peer) this.#out.push({ data, to: this.#peer, ...(ttl === undefined ? {} : { ttl }) });
  }
}

/** Sends one flag 0 of low TTL, answers each flag 0 with the same flag 1, is done with a flag 1. Repeats nothing. */
export class PlexusAcceptor extends Plexus {
  readonly #answer: Buffer;

  constructor(o: PlexusOptions, random: Random, now: number) {
    super(o, random, now);
    this.#answer = this.make(1);
    this.send(this.make(0), o.hops);
  }

  protected heard(flag: HandshakeFlag, now: number): void {
    if (flag === 0) this.send(this.#answer);
    // 3.4.1 as `server`, which it is toward a 3.0 message, does not wait for the inviter's flag 1.
    if (flag === 0 && this.o.generation === '3.1.4') return;
    if (this.o.generation === '3.4.1') this.send(this.make(1));
    this.finish('done', now);
  }
}

/** Sends the same flag 0 each 1.6 s, and at once when a flag 0 comes; answers flag 1 with one flag 1 and is done. */
export class PlexusInviter extends Plexus {
  readonly #current: Buffer;
  #nextAt: number;

  constructor(o: PlexusOptions, random: Random, now: number) {
    super(o, random, now);
    this.#current = this.make(0);
    this.#nextAt = now;
  }

  override tick(now: number): void {
    super.tick(now);
    if (this.end || now < this.#nextAt) return;
    this.send(this.#current);
    this.#nextAt = now + PLEXUS_SLOT_MS;
  }

  override get nextTick(): number {
    return this.end ? Number.POSITIVE_INFINITY : Math.min(super.nextTick, this.#nextAt);
  }

  protected heard(flag: HandshakeFlag, now: number): void {
    if (flag === 1) {
      this.send(this.make(1));
      this.finish('done', now);
    } else {
      this.send(this.#current);
      this.#nextAt = now + PLEXUS_SLOT_MS;
    }
  }
}
