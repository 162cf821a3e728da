import { moveCapacity, sectionBytes, type TubusPacket, type TubusSection } from '../../wire/tubus.js';
import { TUBUS_LINGER_MS, TUBUS_LINK_REPEAT_MS } from '../../wire/tubus-constants.js';
import { Echoes } from './echoes.js';
import { Incoming } from './incoming.js';
import type { TubusLimits } from './limits.js';
import { Outgoing } from './outgoing.js';
import { Pace } from './pace.js';
import { pack } from './packing.js';
import { Pinger } from './ping.js';
import { Pins } from './pins.js';
import { Question } from './question.js';
import type { TubusCounts, TubusEnd, TubusRole, TubusStats } from './types.js';

type State = 'linking' | 'linked' | 'closing' | 'tearing' | 'torn' | 'done';

const MOVE_OVERHEAD = sectionBytes({ type: 'move', offset: 0, data: Buffer.alloc(0) });

/**
 * One tubus connection without socket and timer (spec plexus h.1): packets, bytes and the time go in, packets come
 * out of {@link poll}, which must be called after every change and at {@link wakeAt}. Times in ms of any clock.
 */
export class TubusMachine {
  readonly #role: TubusRole;
  readonly #limits: TubusLimits;
  readonly #capacity: number;
  readonly #pins = new Pins();
  readonly #pace: Pace;
  readonly #outgoing: Outgoing;
  readonly #incoming: Incoming;
  readonly #pinger: Pinger;
  #state: State = 'linking';
  #end: TubusEnd | undefined;
  readonly #echoes = new Echoes();
  #linkDueAt: number;
  readonly #edge: Question;
  readonly #tear: Question;
  #heardAt: number;
  /** End of the present state: linking, closing, tearing, torn. */
  #deadline: number;
  readonly #counts: TubusCounts = { strangers: 0, beyond: 0, duplicates: 0 };

  constructor(role: TubusRole, limits: TubusLimits, now: number) {
    this.#role = role;
    this.#limits = limits;
    this.#capacity = moveCapacity(limits.packetBytes);
    this.#pace = new Pace(limits.flight);
    this.#outgoing = new Outgoing(limits, this.#pace);
    this.#incoming = new Incoming(limits);
    this.#pinger = new Pinger(this.#pace, limits.pingMs);
    this.#edge = new Question(this.#pace);
    this.#tear = new Question(this.#pace);
    this.#linkDueAt = role === 'connect' ? now : Number.POSITIVE_INFINITY;
    this.#heardAt = now;
    this.#deadline = now + (role === 'connect' ? limits.connectMs : limits.acceptMs);
  }

  /** True once both sides know each other, and for ever after. */
  get linked(): boolean {
    return this.#pins.known;
  }

  /** How it ended; undefined while it lives. Data that arrived before can still be read. */
  get end(): TubusEnd | undefined {
    return this.#end;
  }

  /** True when no datagram will be sent any more. */
  get done(): boolean {
    return this.#state === 'done';
  }

  get canWrite(): boolean {
    return this.#outgoing.hasRoom;
  }

  /** Bytes written that the peer has not acknowledged. */
  get pending(): number {
    return this.#outgoing.pending;
  }

  get readable(): number {
    return this.#incoming.readable;
  }

  get stats(): TubusStats {
    const { sent, moves, retransmitted } = this.#outgoing;
    const { received } = this.#incoming;
    return { ...this.#counts, sent, moves, retransmitted, received, rttMs: this.#pace.rtt };
  }

  /** Queues bytes; dropped once the connection has ended or is being closed. Whoever writes heeds {@link canWrite}. */
  write(data: Buffer): void {
    if (this.#state === 'linking' || this.#state === 'linked') this.#outgoing.write(data);
  }

  /** Everything that arrived in order, also after the end. */
  read(): Buffer[] | undefined {
    return this.#incoming.read();
  }

  /** Ends in good order: what was written is delivered first, for at most `flushMs`, then the peer is told. */
  close(now: number, flushMs: number): void {
    if (this.#state === 'linking') this.#finish('closed');
    if (!this.#isOpen) return;
    this.#state = 'closing';
    this.#deadline = now + flushMs;
  }

  receive(packet: TubusPacket, now: number): void {
    if (this.#state === 'done') return;
    if (!this.#admit(packet)) {
      this.#counts.strangers += 1;
      return;
    }
    this.#heardAt = now;
    // A packet of an unconfirmed pin counts for nothing but its link.
    if (!this.#pins.isPeer(packet.pin)) return;
    for (const section of packet.sections) this.#take(section, now);
  }

  #admit({ pin, sections }: TubusPacket): boolean {
    if (this.#pins.known) return this.#pins.isPeer(pin);
    if (this.#role === 'connect') {
      if (!sections.some(({ type }) => type === 'link-echo')) return false;
      this.#pins.learn(pin);
      this.#link();
      return true;
    }
    if (!sections.some(({ type }) => type === 'link')) {
      const edge = this.#pins.confirm(pin);
      if (edge === undefined) return false;
      this.#outgoing.raiseEdge(edge);
      this.#link();
      return true;
    }
    const edge = sections.find((section) => section.type === 'edge')?.offset;
    if (!this.#pins.offer(pin, edge ?? 0)) return false;
    this.#echoes.link = true;
    if (edge !== undefined) this.#echoes.edge(edge);
    return true;
  }

  #link(): void {
    this.#state = 'linked';
    this.#linkDueAt = Number.POSITIVE_INFINITY;
    this.#deadline = Number.POSITIVE_INFINITY;
  }

  #take(section: TubusSection, now: number): void {
    switch (section.type) {
      case 'link':
        this.#echoes.link = this.#role === 'accept';
        return;
      case 'tear':
        this.#torn(now);
        return;
      case 'tear-echo':
        if (this.#state === 'tearing') this.#finish('closed');
        return;
      case 'ping':
        this.#echoes.add({ type: 'ping-echo', value: section.value });
        return;
      case 'ping-echo':
        if (!this.#pinger.echoed(section.value, now)) this.#counts.strangers += 1;
        return;
      case 'move':
        this.#arrive(section.offset, section.data);
        return;
      case 'move-echo':
        this.#outgoing.acknowledge(section.offset, now);
        return;
      case 'edge':
        this.#outgoing.raiseEdge(section.offset);
        this.#echoes.edge(section.offset);
        return;
      case 'edge-echo':
        this.#incoming.edgeEchoed(section.offset);
        return;
    }
  }

  #arrive(offset: number, data: Buffer): void {
    if (this.#state === 'torn') return;
    const arrival = this.#incoming.accept(offset, data);
    if (arrival === 'beyond' || arrival === 'crowded') {
      this.#counts.beyond += 1;
      return;
    }
    if (arrival === 'known') this.#counts.duplicates += 1;
    this.#echoes.add({ type: 'move-echo', offset });
  }

  #torn(now: number): void {
    this.#echoes.tear = true;
    this.#outgoing.drop();
    if (this.#state !== 'torn') this.#end ??= this.#state === 'tearing' ? 'closed' : 'torn';
    this.#state = 'torn';
    this.#deadline = now + Math.max(TUBUS_LINGER_MS, 3 * (this.#pace.rtt ?? 0));
  }

  #finish(end: TubusEnd): void {
    this.#end ??= end;
    this.#state = 'done';
    this.#outgoing.drop();
  }

  /** What the clock alone changes. */
  #advance(now: number): void {
    const late = now >= this.#deadline;
    if (this.#state === 'linking' && late) this.#finish('timeout');
    if (this.#state === 'torn' && late) this.#finish('torn');
    if (this.#state === 'tearing' && late) this.#finish('unanswered');
    if (!this.#isOpen) return;
    if (now - this.#heardAt > this.#limits.silenceMs) this.#finish('silent');
    else if (this.#outgoing.isBroken(now)) this.#finish('broken');
    else if (this.#state === 'closing' && (late || this.#outgoing.pending === 0)) {
      this.#state = 'tearing';
      this.#deadline = now + this.#limits.shutdownMs;
    }
  }

  /** Packets to send now, each within the datagram limit; sections stand in tubus' own order. */
  poll(now: number): TubusSection[][] {
    this.#advance(now);
    if (this.#state === 'done') return [];
    const edgeEcho = this.#echoes.takeEdge();
    return pack(this.#control(now), (room) => this.#nextMove(now, room), edgeEcho, this.#limits.packetBytes);
  }

  #control(now: number): TubusSection[] {
    const control: TubusSection[] = [];
    const linking = now >= this.#linkDueAt;
    if (linking) {
      control.push({ type: 'link' });
      this.#linkDueAt = now + TUBUS_LINK_REPEAT_MS;
    }
    const { link, tear } = this.#echoes;
    if (link) control.push({ type: 'link-echo' });
    if (this.#state === 'tearing' && this.#tear.isDue(0, now)) {
      control.push({ type: 'tear' });
      this.#tear.told(0, now);
    }
    if (tear) control.push({ type: 'tear-echo' });
    const ping = this.#pings ? this.#pinger.ask(now) : undefined;
    if (ping !== undefined) control.push({ type: 'ping', value: ping });
    control.push(...this.#echoes.take());
    const { edge } = this.#incoming;
    if (linking || link || (this.#edgeMatters && this.#edge.isDue(edge, now))) {
      control.push({ type: 'edge', offset: edge });
      this.#edge.told(edge, now);
    }
    return control;
  }

  get #pings(): boolean {
    return this.#role === 'connect' && this.#isOpen;
  }

  get #edgeMatters(): boolean {
    return this.#pins.known && this.#state !== 'torn' && this.#incoming.edgeIsNews;
  }

  get #isOpen(): boolean {
    return this.#state === 'linked' || this.#state === 'closing';
  }

  #nextMove(now: number, room: number): TubusSection | undefined {
    if (!this.#isOpen) return undefined;
    const bytes = room - MOVE_OVERHEAD;
    return this.#outgoing.repeat(now, bytes) ?? this.#outgoing.next(now, bytes, this.#capacity);
  }

  /** When {@link poll} has something to do although nothing happens; infinite when done. */
  get wakeAt(): number {
    if (this.#state === 'done') return Number.POSITIVE_INFINITY;
    const dues = [this.#deadline, this.#linkDueAt];
    if (this.#state === 'tearing') dues.push(this.#tear.dueAt);
    if (this.#isOpen) {
      dues.push(this.#outgoing.dueAt, this.#heardAt + this.#limits.silenceMs + 1);
    }
    if (this.#pings) dues.push(this.#pinger.dueAt);
    if (this.#edgeMatters) dues.push(this.#edge.dueAt);
    return Math.min(...dues);
  }
}
