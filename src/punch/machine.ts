import { HANDSHAKE_FRAME_BYTES, IMPOSSIBLE_AFTER_MS, PUNCH_MAX_PATHS } from '../constants.js';
import { type Endpoint, formatEndpoint, sameEndpoint } from '../util/endpoint.js';
import type { PunchRole } from '../wire/confirm.js';
import { decodeFrame, encodeFrame, type HandshakeFlag } from '../wire/handshake.js';
import { Budget } from './budget.js';
import { ConfirmDialogue } from './confirm-dialogue.js';
import type { Desk, Dialogue, ProvenBy } from './dialogue.js';
import { LegacyAcceptor, LegacyInviter } from './legacy-dialogue.js';
import { OpenerSchedule } from './openers.js';
import { Path } from './path.js';

export interface MachineOptions {
  readonly role: PunchRole;
  /** Puzzle XOR puzzle. */
  readonly secret: bigint;
  /** The endpoint that the peer's message named, canonical and allowed. */
  readonly peer: Endpoint;
  readonly hops: number;
  /** Is the own NAT known to choose a new port for other destinations? */
  readonly moving: boolean;
  readonly timeoutMs: number;
  /** Present iff both sides announced the confirmation; then nothing but it succeeds. */
  readonly confirmKey?: Uint8Array;
  /** Both reports say that plain punching cannot work: silence then ends it early. */
  readonly hopeless: boolean;
  /** May anything be sent there? Asked for each address that a datagram came from. */
  readonly allow: (endpoint: Endpoint) => boolean;
  readonly random: (bytes: number) => Buffer;
}

/** A datagram to send now. */
export interface Sending {
  readonly data: Buffer;
  readonly to: Endpoint;
  readonly ttl?: number;
}

export type Outcome =
  | { readonly kind: 'done'; readonly path: Path; readonly by: ProvenBy }
  | { readonly kind: 'failed'; readonly reason: 'timeout' | 'impossible' };

/** Counters of one attempt; `bad` frames were ignored, `foreign` came from addresses the peer cannot be at. */
export interface PunchStats {
  sent: number;
  sentBytes: number;
  received: number;
  valid: number;
  bad: number;
  reflected: number;
  foreign: number;
}

/**
 * One punch as a state machine without sockets or clock: datagrams and ticks go in, {@link take} hands out what to
 * send, {@link outcome} says how it ended. Times are milliseconds of whatever clock the caller passes.
 */
export class PunchMachine {
  readonly stats: PunchStats = {
    sent: 0,
    sentBytes: 0,
    received: 0,
    valid: 0,
    bad: 0,
    reflected: 0,
    foreign: 0,
  };
  /** When the passage was proven; lingering for the peer's sake comes after. */
  provenAt: number | undefined;
  outcome: Outcome | undefined;
  readonly #o: MachineOptions;
  readonly #start: number;
  readonly #openers: OpenerSchedule;
  readonly #budget: Budget;
  readonly #dialogue: Dialogue;
  readonly #announced: Path;
  readonly #paths = new Map<string, Path>();
  readonly #own = new Set<string>();
  #proven: { readonly path: Path; readonly by: ProvenBy } | undefined;
  #now: number;
  #out: Sending[] = [];

  constructor(options: MachineOptions, now: number) {
    this.#o = options;
    this.#start = now;
    this.#now = now;
    this.#openers = new OpenerSchedule(options, now);
    this.#budget = new Budget(options.peer.address);
    this.#announced = new Path(options.peer, options.peer);
    this.#paths.set(formatEndpoint(options.peer), this.#announced);
    const desk = this.#desk();
    if (options.confirmKey) this.#dialogue = new ConfirmDialogue(desk, options.role, options.confirmKey);
    else this.#dialogue = makeLegacy(desk, options);
  }

  /** The datagrams to send, in order; the caller now has them. */
  take(): Sending[] {
    const out = this.#out;
    this.#out = [];
    return out;
  }

  /** When {@link tick} is to be called at the latest. */
  get nextTick(): number {
    if (this.outcome) return Number.POSITIVE_INFINITY;
    const dialogue = this.#dialogue.next();
    if (this.#proven) return dialogue;
    const impossible = this.#givesUpEarly ? this.#start + IMPOSSIBLE_AFTER_MS : Number.POSITIVE_INFINITY;
    return Math.min(dialogue, this.#openers.next, this.#start + this.#o.timeoutMs, impossible);
  }

  /** Did anything valid arrive, from wherever? */
  get heard(): boolean {
    return this.stats.valid > 0;
  }

  /** Does what happened so far include the peer's proof of the confirmation key? */
  get authentic(): boolean {
    return [...this.#paths.values()].some((path) => path.authentic);
  }

  /** A datagram arrived; `from` is canonical. Never throws, whatever it holds. */
  datagram(from: Endpoint, data: Uint8Array, now: number): void {
    if (this.outcome) return;
    this.#now = now;
    this.stats.received += 1;
    // Without a confirmation, only the address that the peer signed is believed; its NAT may change the port.
    if (from.address !== this.#o.peer.address && !this.#o.confirmKey) {
      this.stats.foreign += 1;
      return;
    }
    const frame = decodeFrame(this.#o.secret, data);
    if (!frame) {
      if (!this.#dialogue.other(from, data, now)) this.stats.bad += 1;
      return;
    }
    if (this.#own.has(Buffer.from(data).toString('latin1'))) {
      this.stats.reflected += 1;
      return;
    }
    const path = this.#path(from);
    if (!path) {
      this.stats.foreign += 1;
      return;
    }
    this.#credit(path, data.length);
    path.note(data, now);
    this.#dialogue.frame(path, frame.flag, now);
  }

  /** The clock moved on to `now`. */
  tick(now: number): void {
    if (this.outcome) return;
    this.#now = now;
    this.#dialogue.tick(now);
    if (this.outcome || this.#proven) return;
    if (now >= this.#start + this.#o.timeoutMs) {
      this.outcome = { kind: 'failed', reason: 'timeout' };
    } else if (this.#givesUpEarly && now >= this.#start + IMPOSSIBLE_AFTER_MS) {
      this.outcome = { kind: 'failed', reason: 'impossible' };
    } else {
      for (const opener of this.#openers.due(now)) {
        if (this.#budget.admitOpener()) this.#send(this.#legacy(0), this.#announced, opener.ttl);
      }
    }
  }

  get #givesUpEarly(): boolean {
    return this.#o.hopeless && !this.heard;
  }

  #desk(): Desk {
    return {
      paths: { [Symbol.iterator]: () => this.#paths.values() },
      path: (endpoint) => this.#path(endpoint),
      credit: (path, bytes) => this.#credit(path, bytes),
      sendFlag: (path, flag) => this.#answer(path, HANDSHAKE_FRAME_BYTES, () => this.#legacy(flag)),
      sendBytes: (path, data) => this.#answer(path, data.length, () => data),
      random: (bytes) => this.#o.random(bytes),
      prove: (path, by, now) => {
        this.#proven = { path, by };
        this.provenAt = now;
      },
      settle: () => {
        if (this.#proven) this.outcome = { kind: 'done', ...this.#proven };
      },
    };
  }

  #credit(path: Path, bytes: number): void {
    this.stats.valid += 1;
    this.#budget.credit(path.endpoint.address, bytes);
  }

  /** A fresh frame each time: the peer counts distinct ones, and ours coming back is known by its bytes. */
  #legacy(flag: HandshakeFlag): Buffer {
    const frame = encodeFrame(this.#o.secret, flag, this.#o.random(7));
    this.#own.add(frame.toString('latin1'));
    return frame;
  }

  #answer(path: Path, bytes: number, make: () => Buffer): boolean {
    const stray = !path.announced && !path.authentic;
    if (!this.#budget.admitAnswer(path.endpoint.address, bytes, stray, this.#now)) return false;
    this.#send(make(), path);
    return true;
  }

  #send(data: Buffer, path: Path, ttl?: number): void {
    this.stats.sent += 1;
    this.stats.sentBytes += data.length;
    this.#out.push({ data, to: path.endpoint, ...(ttl === undefined ? {} : { ttl }) });
  }

  #path(endpoint: Endpoint): Path | undefined {
    const key = formatEndpoint(endpoint);
    const known = this.#paths.get(key);
    if (known) return known;
    if (!this.#o.allow(endpoint)) return undefined;
    if (this.#paths.size >= PUNCH_MAX_PATHS && !this.#forget()) return undefined;
    const path = new Path(endpoint, this.#o.peer);
    this.#paths.set(key, path);
    return path;
  }

  /** Drops the path that has been quiet longest, unless the peer signed or proved it. */
  #forget(): boolean {
    let oldest: Path | undefined;
    for (const path of this.#paths.values()) {
      if (path.announced || path.authentic) continue;
      if (!oldest || (path.lastHeard ?? 0) < (oldest.lastHeard ?? 0)) oldest = path;
    }
    return oldest !== undefined && this.#paths.delete(formatEndpoint(oldest.endpoint));
  }
}

function makeLegacy(desk: Desk, { role, moving }: MachineOptions): Dialogue {
  return role === 'invite' ? new LegacyInviter(desk, moving) : new LegacyAcceptor(desk, moving);
}

/** Where the peer was found, as the `how` of a passage. */
export function describePath(path: Path, announced: Endpoint): 'reflexive' | 'remapped' | 'moved' {
  if (sameEndpoint(path.endpoint, announced)) return 'reflexive';
  return path.endpoint.address === announced.address ? 'remapped' : 'moved';
}
