import type { Logger } from '../log.js';
import { probe } from '../stun/probe.js';
import { resolveServers } from '../stun/resolve.js';
import type { HostPort } from '../util/host-port.js';
import { UdpSocket } from '../util/udp.js';
import { type NatReport, UNMEASURED } from '../wire/nat-report.js';

/** A report older than this is measured anew: laptops move between networks. */
const REPORT_LIFE_MS = 10 * 60_000;
/** One that could not even tell how the NAT maps: the answers may have got lost. */
const OPEN_REPORT_LIFE_MS = 60_000;

export type ReportListener = (report: NatReport) => void;

/**
 * An acceptor's own NAT report, measured beside its sessions on a socket of its own, so that answering an
 * invitation never waits for it.
 */
export class NatWatch {
  readonly #servers: readonly HostPort[];
  readonly #address: string;
  readonly #log: Logger;
  readonly #listeners = new Set<ReportListener>();
  readonly #signal: AbortSignal;
  #report: NatReport = UNMEASURED;
  #hops: number | undefined;
  #measuredAt = Number.NEGATIVE_INFINITY;
  #running = false;

  constructor(servers: readonly HostPort[], address: string, log: Logger, signal: AbortSignal) {
    this.#servers = servers;
    this.#address = address;
    this.#log = log;
    this.#signal = signal;
  }

  /** Subscribes to each new report, and to the last one if there is one; the returned function ends that. */
  onReport(listener: ReportListener): () => void {
    this.#listeners.add(listener);
    if (this.#report !== UNMEASURED) listener(this.#report);
    return () => this.#listeners.delete(listener);
  }

  /** The last report; starts a new measurement in the background if that one is old. */
  current(): NatReport {
    const lifeMs = this.#report.mapping === 'not-measured' ? OPEN_REPORT_LIFE_MS : REPORT_LIFE_MS;
    if (performance.now() - this.#measuredAt > lifeMs) void this.#measure();
    return this.#report;
  }

  /** Smallest TTL that leaves the own NATs, as far as the last measurement knows. */
  get hops(): number | undefined {
    return this.#hops;
  }

  async #measure(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    let socket: UdpSocket | undefined;
    try {
      socket = await UdpSocket.bind({ address: this.#address, port: 0 });
      const servers = await resolveServers(this.#servers, socket.local, this.#signal);
      const measuring = probe(socket, servers, { signal: this.#signal, log: this.#log });
      await measuring.endpoint;
      this.#report = await measuring.report;
      this.#hops = measuring.hops();
      this.#measuredAt = performance.now();
      for (const listener of this.#listeners) listener(this.#report);
    } catch (error) {
      this.#log.debug(`own NAT not measured: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      this.#running = false;
      await socket?.close();
    }
  }
}

/** One measurement for all acceptors of a process that ask the same servers from the same address. */
export class NatWatches {
  readonly #signal: AbortSignal;
  readonly #watches = new Map<string, NatWatch>();

  /** @param signal ends them all */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** The first who asks gives the log. */
  of(servers: readonly HostPort[], address: string, log: Logger): NatWatch {
    const key = JSON.stringify([address, servers]);
    const watch = this.#watches.get(key) ?? new NatWatch(servers, address, log, this.#signal);
    this.#watches.set(key, watch);
    return watch;
  }
}
