import type { Endpoint } from '../../src/util/endpoint.js';
import type { Nat } from './nat.js';
import type { Random } from './random.js';

/** What lives on a host: our punch machine, or a model of plexus. */
export interface Actor {
  datagram(from: Endpoint, data: Uint8Array, now: number, socket?: number): void;
  tick(now: number): void;
  take(): { readonly data: Buffer; readonly to: Endpoint; readonly ttl?: number; readonly socket?: number }[];
  readonly nextTick: number;
}

export interface Link {
  /** Probability that a datagram is lost. */
  readonly loss: number;
  readonly duplicate: number;
  /** One way, milliseconds; each datagram takes delay to delay + jitter, so it may overtake others. */
  readonly delay: number;
  readonly jitter: number;
  /** Routers between the two outermost boxes. */
  readonly hops: number;
}

export class Host {
  readonly inside: Endpoint;
  /** From the host outwards; none for a host with a public address. */
  readonly nats: readonly Nat[];
  readonly publicAddress: string;
  actor: Actor | undefined;
  /** Datagrams that reached the host, whatever its actor made of them. */
  readonly inbox: { readonly from: Endpoint; readonly data: Uint8Array; readonly socket: number }[] = [];

  constructor(inside: Endpoint, nats: readonly Nat[], publicAddress: string) {
    this.inside = inside;
    this.nats = nats;
    this.publicAddress = publicAddress;
  }

  /** The source that the outside sees; opens or refreshes the mappings on the way. */
  outbound(to: Endpoint, now: number, socket = 0): Endpoint {
    const inside = { address: this.inside.address, port: this.inside.port + socket };
    return this.nats.reduce((source, nat) => nat.outbound(source, to, now), inside);
  }

  /** The number of our socket that a datagram to our public `port` comes to; undefined if it does not come through. */
  admits(port: number, from: Endpoint, now: number): number | undefined {
    let to: Endpoint = { address: this.publicAddress, port };
    for (const nat of [...this.nats].reverse()) {
      const inner = nat.inbound(to.port, from, now);
      if (!inner) return undefined;
      to = inner;
    }
    const socket = to.port - this.inside.port;
    return to.address === this.inside.address && socket >= 0 && socket < SOCKETS ? socket : undefined;
  }
}

/** A host has its sockets on neighbouring ports. */
const SOCKETS = 1024;
const MAX_EVENTS = 200_000;

interface Event {
  readonly at: number;
  readonly run: () => void;
}

/** Two or more hosts, one link between any two, a queue of events and a clock that jumps from one to the next. */
export class World {
  now = 0;
  readonly hosts: readonly Host[];
  readonly #link: Link;
  readonly #random: Random;
  #queue: Event[] = [];

  constructor(hosts: readonly Host[], link: Link, random: Random) {
    this.hosts = hosts;
    this.#link = link;
    this.#random = random;
  }

  at(time: number, run: () => void): void {
    let low = 0;
    let high = this.#queue.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#queue[middle]?.at ?? 0) > time) low = middle + 1;
      else high = middle;
    }
    this.#queue.splice(low, 0, { at: time, run });
  }

  /** Puts an actor onto a host at a time. */
  start(host: Host, time: number, make: (now: number) => Actor): void {
    this.at(time, () => {
      host.actor = make(this.now);
      host.actor.tick(this.now);
      this.#drain(host);
    });
  }

  /** Sends from a host; `lossless` for questions about the path instead of attempts. */
  send(host: Host, data: Uint8Array, to: Endpoint, ttl = 64, lossless = false, socket = 0): void {
    // A datagram that expires inside its own NATs opens only those that it passed; one more hop each.
    if (ttl <= host.nats.length) return;
    const source = host.outbound(to, this.now, socket);
    if (ttl <= host.nats.length + this.#link.hops) return;
    const copies = !lossless && this.#random.chance(this.#link.duplicate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      if (!lossless && this.#random.chance(this.#link.loss)) continue;
      const delay = this.#link.delay + this.#random.next() * this.#link.jitter;
      this.at(this.now + delay, () => this.#arrive(source, to, data));
    }
  }

  /** Runs until the queue is empty, `until` is reached or `stop` says so. */
  run(until: number, stop: () => boolean = () => false): void {
    for (let count = 0; !stop(); count++) {
      // A machine that asks for a tick and does nothing with it would keep the clock where it is for ever.
      if (count > MAX_EVENTS) throw new Error(`the clock stands still at ${this.now}`);
      const event = this.#queue.at(-1);
      if (!event || event.at > until) return;
      this.#queue.pop();
      this.now = Math.max(this.now, event.at);
      event.run();
    }
  }

  #arrive(source: Endpoint, to: Endpoint, data: Uint8Array): void {
    const host = this.hosts.find((one) => one.publicAddress === to.address);
    const socket = host?.admits(to.port, source, this.now);
    if (!host || socket === undefined) return;
    host.inbox.push({ from: source, data, socket });
    host.actor?.datagram(source, data, this.now, socket);
    this.#drain(host);
  }

  #drain(host: Host): void {
    const actor = host.actor;
    if (!actor) return;
    for (const { data, to, ttl, socket } of actor.take()) this.send(host, data, to, ttl, false, socket);
    const next = actor.nextTick;
    if (next === Number.POSITIVE_INFINITY) return;
    this.at(Math.max(next, this.now), () => {
      if (host.actor !== actor || actor.nextTick > this.now) return;
      actor.tick(this.now);
      this.#drain(host);
    });
  }
}
