import { HANDSHAKE_FRAME_BYTES, IMPOSSIBLE_AFTER_MS, PUNCH_MAX_PATHS } from '../constants.js';
import type { Endpoint } from '../util/endpoint.js';
import type { PunchRole } from '../wire/confirm.js';
import { decodeFrame, encodeFrame, type HandshakeFlag } from '../wire/handshake.js';
import { Budget } from './budget.js';
import { ChoosingDialogue } from './choosing-dialogue.js';
import { ConfirmDialogue } from './confirm-dialogue.js';
import type { Desk, Dialogue, ProvenBy } from './dialogue.js';
import { LegacyAcceptor, LegacyInviter } from './legacy-dialogue.js';
import type { Outcome, PunchStats, Sending } from './outcome.js';
import { Path, type Place, placeKey } from './path.js';
import type { Plan, Rung } from './plan.js';
import { OpenerSchedule } from './schedule.js';
import { Targets } from './targets.js';

export interface MachineOptions {
  readonly role: PunchRole;
  /** Puzzle XOR puzzle. */
  readonly secret: bigint;
  /** The endpoint that the peer's message named, canonical and allowed. */
  readonly peer: Endpoint;
  /** What to send where and when; its targets are allowed. */
  readonly plan: Plan;
  /** Is the own NAT known to choose a new port for other destinations? */
  readonly moving: boolean;
  readonly timeoutMs: number;
  /** Present iff both sides announced the confirmation; then nothing but it succeeds. */
  readonly confirmKey?: Uint8Array;
  /** Both sides also know the choice: several paths may be tried at once. */
  readonly chooses?: boolean;
  /** The peer understands a choice that says where we see it. */
  readonly tellsSeen?: boolean;
  /** May anything be sent there? Asked for each address that a datagram came from. */
  readonly allow: (endpoint: Endpoint) => boolean;
  /** May the wide attempts begin now? Asked again later if not; without it there are none. */
  readonly admitWide?: () => boolean;
  readonly random: (bytes: number) => Buffer;
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
    wide: 0,
  };
  /** When the passage was proven; lingering for the peer's sake comes after. */
  provenAt: number | undefined;
  outcome: Outcome | undefined;
  readonly #o: MachineOptions;
  readonly #start: number;
  readonly #openers: OpenerSchedule;
  readonly #budget: Budget;
  readonly #dialogue: Dialogue;
  readonly #targets: Targets;
  readonly #paths = new Map<string, Path>();
  readonly #own = new Set<string>();
  readonly #tried = new Set<Rung>();
  #proven: { readonly path: Path; readonly by: ProvenBy } | undefined;
  #now: number;
  #out: Sending[] = [];

  constructor(options: MachineOptions, now: number) {
    this.#o = options;
    this.#start = now;
    this.#now = now;
    const { plan, random, admitWide = () => false } = options;
    this.#openers = new OpenerSchedule(plan, { random, admitWide }, now);
    this.#targets = new Targets(plan, options.peer);
    this.#budget = new Budget(this.#targets.addresses);
    this.#path({ socket: 0, endpoint: options.peer });
    const desk = this.#desk();
    if (!options.confirmKey) this.#dialogue = makeLegacy(desk, options);
    else if (!options.chooses) this.#dialogue = new ConfirmDialogue(desk, options.role, options.confirmKey);
    else {
      const rungs = new Set(plan.attempts.map(({ rung }) => rung));
      const { role, confirmKey, tellsSeen = false } = options;
      this.#dialogue = new ChoosingDialogue(desk, { role, confirmKey, rungs, tellsSeen });
    }
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

  /** The rungs of which something was sent, in their order; for people. */
  get tried(): ReadonlySet<Rung> {
    return this.#tried;
  }

  /** A datagram arrived at the own socket of that number; `from` is canonical. Never throws, whatever it holds. */
  datagram(from: Endpoint, data: Uint8Array, now: number, socket = 0): void {
    if (this.outcome) return;
    this.#now = now;
    this.stats.received += 1;
    // Without a confirmation, only the address that the peer signed is believed; its NAT may change the port.
    if (from.address !== this.#o.peer.address && !this.#o.confirmKey) {
      this.stats.foreign += 1;
      return;
    }
    const place = { socket, endpoint: from };
    const frame = decodeFrame(this.#o.secret, data);
    if (!frame) {
      if (!this.#dialogue.other(place, data, now)) this.stats.bad += 1;
      return;
    }
    if (this.#own.has(Buffer.from(data).toString('latin1'))) {
      this.stats.reflected += 1;
      return;
    }
    const path = this.#path(place);
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
      this.#knock(now);
    }
  }

  #knock(now: number): void {
    for (const { socket, to, ttl, wide, rung } of this.#openers.due(now)) {
      // A path that works already needs no probes for another one.
      if ((wide && this.provenAt !== undefined) || !this.#budget.admitOpener(to.address, wide)) continue;
      if (wide) {
        this.stats.wide += 1;
        this.#targets.probed(to.port);
      }
      this.#tried.add(rung);
      const place = { socket, endpoint: to };
      const greeting = wide || ttl !== undefined ? undefined : this.#greeting(place);
      this.#send(greeting ?? this.#legacy(0), place, ttl);
    }
  }

  #greeting(place: Place): Buffer | undefined {
    const path = this.#path(place);
    const greeting = path && this.#dialogue.greeting(path, this.#now);
    return greeting && this.#budget.admitGreeting(place.endpoint.address) ? greeting : undefined;
  }

  get #givesUpEarly(): boolean {
    return this.#o.plan.hopeless && !this.heard;
  }

  #desk(): Desk {
    return {
      paths: { [Symbol.iterator]: () => this.#paths.values() },
      path: (place) => this.#path(place),
      known: (place) => this.#paths.get(placeKey(place)),
      credit: (path, bytes) => this.#credit(path, bytes),
      sendFlag: (path, flag) => this.#answer(path, HANDSHAKE_FRAME_BYTES, () => this.#legacy(flag)),
      sendBytes: (path, data) => this.#answer(path, data.length, () => data),
      random: (bytes) => this.#o.random(bytes),
      works: (now) => {
        this.provenAt ??= now;
      },
      prove: (path, by, now) => {
        this.#proven = { path, by };
        this.provenAt ??= now;
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

  #send(data: Buffer, { socket, endpoint }: Place, ttl?: number): void {
    this.stats.sent += 1;
    this.stats.sentBytes += data.length;
    this.#out.push({ data, to: endpoint, socket, ...(ttl === undefined ? {} : { ttl }) });
  }

  #path(place: Place): Path | undefined {
    const key = placeKey(place);
    const known = this.#paths.get(key);
    if (known) return known;
    const origin = this.#targets.originOf(place);
    if (!origin.announced && !this.#targets.knows(place.endpoint) && !this.#o.allow(place.endpoint))
      return undefined;
    if (this.#paths.size >= PUNCH_MAX_PATHS && !this.#forget()) return undefined;
    const path = new Path(place, origin);
    this.#paths.set(key, path);
    return path;
  }

  /** Drops the path that has been quiet longest, unless it is that of the reference or the peer proved it. */
  #forget(): boolean {
    let oldest: Path | undefined;
    for (const path of this.#paths.values()) {
      if (path.authentic || (path.announced && path.socket === 0)) continue;
      if (!oldest || (path.lastHeard ?? 0) < (oldest.lastHeard ?? 0)) oldest = path;
    }
    return oldest !== undefined && this.#paths.delete(placeKey(oldest));
  }
}

function makeLegacy(desk: Desk, { role, moving }: MachineOptions): Dialogue {
  return role === 'invite' ? new LegacyInviter(desk, moving) : new LegacyAcceptor(desk, moving);
}
