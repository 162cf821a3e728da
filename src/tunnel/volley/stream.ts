import { EventEmitter } from 'node:events';
import { Alarm } from '../../util/alarm.js';
import { DatagramOpener, DatagramSealer } from '../../wire/tunnel-datagram.js';
import type { TunnelKeys } from '../../wire/tunnel-keys.js';
import { SEGMENT_BYTES, type Segment } from '../../wire/volley.js';
import { decodeReport, encodeReport } from '../../wire/volley-report.js';
import type { ByteStream, CarrierStats } from '../carrier.js';
import { Arrivals } from './arrivals.js';
import { Departures } from './departures.js';
import {
  BURST_MAX_MS,
  BURST_MS,
  LATE_MS,
  PROBE_MAX_MS,
  PROBE_SLACK_MS,
  PROBES,
  REPORT_BYTES,
  REPORT_MAX_MS,
  REPORT_MS,
  REPORT_SHARE,
  VOLLEY_FULL_BYTES,
  VOLLEY_ROOM_BYTES,
} from './limits.js';
import { Width } from './width.js';

/** Channels of the sealed reports. */
const STATE = 0;
const GONE = 1;

/** Where a stream of volleys sends; `room` is what the kernel keeps for us. */
export interface VolleyPort {
  /** One or more segments of `width` bytes but the last. False if the kernel takes no more for now. */
  sendSegments(wire: Buffer, width: number): boolean;
  sendReport(sealed: Buffer): void;
  /** In one piece or not at all. */
  sendProbe(sealed: Buffer): void;
  readonly room: number;
  /** Bytes of the widest segment that may be tried. */
  readonly widest: number;
}

/**
 * Ordered bytes over datagrams, encrypted and authenticated. Everything the peer says of its side is sealed, too:
 * nobody without the keys can end, reset or mislead it.
 */
export class VolleyStream extends EventEmitter implements ByteStream {
  readonly #port: VolleyPort;
  readonly #departures: Departures;
  readonly #arrivals: Arrivals;
  readonly #width: Width;
  readonly #sealer: DatagramSealer;
  readonly #opener: DatagramOpener;
  #serial = 0;
  #full = false;
  #ended = false;
  #closed = false;
  #arrivedAt = 0;
  /** Something came that no report is on its way for. */
  #fresh = false;
  /** Bytes since the last report. */
  #unreported = 0;
  #reporting: NodeJS.Immediate | undefined;
  #reportingLater: NodeJS.Timeout | undefined;
  #reportedAt = 0;
  /** What may be sent now, and when that was. */
  #tokens = 0;
  #tokensAt = 0;
  /** There was more to send than might be sent by then. */
  #paced = false;
  readonly #alarm = new Alarm(() => this.#wake());
  /** Since when nothing was heard while something was under way, and how often that was asked about. */
  #quietSince = 0;
  #probes = 0;

  constructor(port: VolleyPort, { send, receive }: Pick<TunnelKeys, 'send' | 'receive'>) {
    super();
    this.#port = port;
    this.#departures = new Departures(send.volleys.volley, send.volleys.token);
    this.#arrivals = new Arrivals(receive.volleys.volley, receive.volleys.token);
    this.#sealer = new DatagramSealer(send.volleys.report);
    this.#width = new Width(port.widest, (channel, payload) => {
      port.sendProbe(this.#sealer.seal(channel, payload));
    });
    this.#opener = new DatagramOpener(receive.volleys.report);
  }

  write(data: Uint8Array): boolean {
    if (this.#closed) return true;
    this.#departures.add(data);
    this.#pump();
    this.#full = this.#departures.waiting > VOLLEY_FULL_BYTES;
    return !this.#full;
  }

  end(): void {
    if (this.#closed) return;
    this.#departures.end();
    this.#pump();
  }

  destroy(): void {
    if (this.#closed) return;
    // So that the peer does not have to find out by silence; nobody repeats it.
    this.#port.sendReport(this.#sealer.seal(GONE, new Uint8Array()));
    this.#close();
  }

  stats(): CarrierStats {
    const { bandwidth, sent, repeated } = this.#departures;
    return {
      ...(bandwidth.measured && { rttMs: bandwidth.rttMs }),
      packets: sent,
      repeated,
      bad: this.#arrivals.bad + this.#opener.bad,
    };
  }

  /** A segment came from the peer's address; {@link settle} is to be called behind the last of those that came at once. */
  segment(segment: Segment): void {
    if (this.#closed) return;
    this.#arrivals.take(segment);
    this.#unreported += segment.to - segment.from;
    this.#fresh = true;
    for (let plain = this.#arrivals.next(); plain; plain = this.#arrivals.next()) {
      if (plain.length > 0) this.emit('data', plain);
      else this.#peerEnds();
      if (this.#closed) return;
    }
    if (this.#unreported >= REPORT_BYTES) this.settle();
  }

  /** Sees to it that what came is reported. */
  settle(): void {
    if (this.#closed || !this.#fresh) return;
    this.#fresh = false;
    this.#arrivedAt = performance.now();
    this.#reportSoon();
  }

  /** A report, or a probe of the path or its answer, came from the peer's address. */
  report(sealed: Buffer): void {
    if (this.#closed) return;
    const opened = this.#opener.open(sealed);
    if (!opened) return;
    if (opened.channel === GONE) {
      this.emit('error', new Error('the peer gave it up'));
      this.#close();
      return;
    }
    if (opened.channel !== STATE) {
      this.#width.take(opened);
      this.#departures.width = this.#width.known;
      return;
    }
    const report = decodeReport(opened.payload);
    try {
      if (!report) throw new RangeError('reports what is no report');
      const now = performance.now();
      this.#departures.report(report, now);
      this.#quietSince = now;
      this.#probes = 0;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.emit('error', error);
      this.destroy();
      return;
    }
    const { wideLoss, bandwidth } = this.#departures;
    if (wideLoss.tooMuch(performance.now(), bandwidth.rttMs)) this.narrow();
    else this.#pump();
    this.#closeIfDone();
  }

  /** The path, or the own network, takes no more what it took: segments are cut shorter. */
  narrow(): void {
    if (this.#closed || this.#departures.width === SEGMENT_BYTES) return;
    this.#width.shrank();
    this.#departures.recut();
    this.#pump();
  }

  /** The kernel takes more again. */
  resume(): void {
    if (!this.#closed) this.#pump();
  }

  #peerEnds(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.emit('end');
    this.#closeIfDone();
  }

  #closeIfDone(): void {
    if (this.#closed || !this.#ended || !this.#departures.done) return;
    // The peer must learn that its end arrived before the port is gone.
    this.#report();
    this.#close();
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#alarm.close();
    clearImmediate(this.#reporting);
    clearTimeout(this.#reportingLater);
    setImmediate(() => this.emit('close'));
  }

  #reportSoon(): void {
    if (this.#unreported >= REPORT_BYTES) {
      this.#report();
      return;
    }
    if (this.#reporting || this.#reportingLater) return;
    const { bandwidth } = this.#departures;
    const share = bandwidth.measured ? bandwidth.rttMs * REPORT_SHARE : 0;
    const pause = Math.min(REPORT_MAX_MS, Math.max(REPORT_MS, share));
    const left = this.#reportedAt + pause - this.#arrivedAt;
    if (left <= 0) this.#reporting = setImmediate(() => this.#report());
    else this.#reportingLater = setTimeout(() => this.#report(), left);
  }

  #report(): void {
    clearImmediate(this.#reporting);
    clearTimeout(this.#reportingLater);
    this.#reporting = undefined;
    this.#reportingLater = undefined;
    this.#unreported = 0;
    this.#reportedAt = performance.now();
    const body = encodeReport({
      serial: this.#serial++,
      ...this.#arrivals.state(),
      delayMs: this.#reportedAt - this.#arrivedAt,
      room: this.#port.room,
    });
    this.#port.sendReport(this.#sealer.seal(STATE, body));
  }

  #pump(): void {
    const departures = this.#departures;
    const now = performance.now();
    const rate = departures.bandwidth.rate;
    const most = this.#paced ? Math.min(LATE_MS, now - this.#tokensAt) : 0;
    this.#tokens = Math.min(
      this.#tokens + (now - this.#tokensAt) * rate,
      Math.max(BURST_MAX_MS, most) * rate,
    );
    this.#tokensAt = now;
    const burst = BURST_MS * rate;
    if (departures.inFlight === 0) this.#quietSince = now;
    while (departures.hasMore && this.#tokens > 0) {
      const next = departures.next(now, Math.max(this.#tokens, burst));
      if (!next) break;
      this.#tokens -= next.wire.length;
      if (!this.#port.sendSegments(next.wire, next.width)) break;
    }
    this.#width.look(now, departures.sent, departures.bandwidth.rttMs);
    if (!departures.hasMore) departures.bandwidth.idles(departures.inFlight);
    this.#arm(now);
    if (this.#full && departures.waiting < VOLLEY_ROOM_BYTES) {
      this.#full = false;
      this.emit('drain');
    }
  }

  /** Wakes up when the next burst may go, or when silence becomes suspicious. */
  #arm(now: number): void {
    const departures = this.#departures;
    const { bandwidth } = departures;
    const may = departures.hasMore && departures.inFlight < bandwidth.flight;
    this.#paced = may && this.#tokens <= 0;
    const burstAt = this.#paced ? now + BURST_MS - this.#tokens / bandwidth.rate : undefined;
    const heldAt = may && departures.heldUntil > now ? departures.heldUntil : undefined;
    const quietAt = departures.inFlight > 0 ? this.#quietSince + this.#patience() : undefined;
    this.#alarm.by(burstAt, heldAt, quietAt);
  }

  #patience(): number {
    const once = this.#departures.bandwidth.patienceMs + PROBE_SLACK_MS;
    return Math.min(PROBE_MAX_MS, once * 2 ** this.#probes);
  }

  #wake(): void {
    const now = performance.now();
    const departures = this.#departures;
    if (departures.inFlight > 0 && now >= this.#quietSince + this.#patience()) {
      this.#quietSince = now;
      this.#probes += 1;
      if (this.#probes > PROBES) {
        departures.giveUp();
        this.narrow();
      }
      const probe = departures.probe(now);
      if (probe) this.#port.sendSegments(probe.wire, probe.width);
    }
    this.#pump();
  }
}
