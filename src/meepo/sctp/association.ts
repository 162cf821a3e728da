import { Alarm } from '../../util/alarm.js';
import {
  CHUNK,
  type Chunk,
  type DataChunk,
  dataBytes,
  decodeSctp,
  encodeChunk,
  encodeSack,
  encodeSctp,
  type Init,
  readData,
  readReconfig,
  readSack,
  type SctpPacket,
} from '../../wire/sctp.js';
import { Handshake } from './handshake.js';
import { Inbound, type SctpMessage } from './inbound.js';
import { BURST, PACKET_BYTES, SACK_MS, SACK_PACKETS, STEADY_PACKETS, STEADY_SACK_PACKETS } from './limits.js';
import { Outbound } from './outbound.js';
import { Resets } from './resets.js';

const NOTHING = Buffer.alloc(0);

/** Whether chunks and pieces make no longer a packet than a full piece alone: the kernel cuts what is longer. */
function fits(chunks: readonly Buffer[], pieces: readonly DataChunk[]): boolean {
  let bytes = 0;
  for (const chunk of chunks) bytes += chunk.length;
  for (const { data } of pieces) bytes += dataBytes(data);
  return bytes <= PACKET_BYTES;
}

export interface AssociationPort {
  /** Packets, to be encrypted. Never throws. */
  send(packets: readonly Buffer[]): void;
  readonly established: () => void;
  readonly message: (message: SctpMessage) => void;
  /** Bytes that were given to {@link Association.push} went out for the first time. */
  readonly left: (stream: number, bytes: number) => void;
  /** Our end of a stream is closed, or the peer's is. */
  readonly reset: (stream: number, by: 'us' | 'peer') => void;
  /** The peer ended it, or broke the rules; the reason is for the log. */
  readonly ended: (reason: string) => void;
}

interface Established {
  readonly outbound: Outbound;
  readonly inbound: Inbound;
  readonly resets: Resets;
}

/**
 * An SCTP association as WebRTC has it: over DTLS, one path, all messages reliable and ordered (RFC 8261, 8831, 9260). DTLS has
 * proved the peer, so the cookie holds no secret state. The peer's silence is for ICE to notice.
 */
export class Association {
  readonly #port: AssociationPort;
  readonly #handshake: Handshake;
  #open: Established | undefined;
  #over = false;
  readonly #alarm = new Alarm(() => this.#due());
  #sackTimer: NodeJS.Timeout | undefined;
  /** Packets with data that were not acknowledged; `#sackNow` where the peer must know at once. */
  #unacknowledged = 0;
  #sackNow = false;
  /** Packets since something was missing. */
  #steady = 0;
  #turn: NodeJS.Immediate | undefined;
  /** Packets of one turn, which leave together. */
  #together: Buffer[] | undefined;

  constructor(port: AssociationPort) {
    this.#port = port;
    this.#handshake = new Handshake({
      send: (packet) => port.send([packet]),
      done: (peer) => this.#establish(peer),
      failed: () => this.#end('no answer', false),
    });
  }

  /** Asks the peer; the other side only waits for that. */
  start(): void {
    this.#handshake.start();
  }

  /** Puts a message into the queue. */
  push(message: SctpMessage, urgent = false): void {
    this.#open?.outbound.push(message, urgent);
    this.#soon();
  }

  /** Closes our end of a stream after what was put into the queue. */
  reset(stream: number): void {
    this.#open?.resets.want(stream);
    this.#soon();
  }

  /** Takes from the window that the peer is told; giving back (negative) tells it at once. */
  hold(bytes: number): void {
    this.#open?.inbound.hold(bytes);
    if (bytes >= 0) return;
    this.#sackNow = true;
    this.#soon();
  }

  /** One decrypted packet, whose memory is the caller's no more. Never throws. */
  receive(bytes: Buffer): void {
    if (this.#over) return;
    let packet: SctpPacket;
    try {
      packet = decodeSctp(bytes);
    } catch {
      return;
    }
    const { tag, chunks } = packet;
    if (tag !== (chunks[0]?.type === CHUNK.init ? 0 : this.#handshake.tag)) return;
    try {
      let hasData = false;
      for (const chunk of chunks) {
        if (chunk.type === CHUNK.data) hasData = true;
        this.#chunk(chunk);
      }
      if (hasData) this.#unacknowledged += 1;
    } catch (error) {
      this.#end(String(error), true);
      return;
    }
    if (this.#unacknowledged >= this.#sackPackets()) this.#flush();
    else this.#soon();
  }

  #sackPackets(): number {
    return this.#steady > STEADY_PACKETS ? STEADY_SACK_PACKETS : SACK_PACKETS;
  }

  /** Tells the peer and ends. Idempotent. */
  close(): void {
    if (this.#over) return;
    if (this.#handshake.peer) this.#send([encodeChunk(CHUNK.abort, 0, NOTHING)]);
    this.#stop();
  }

  #end(reason: string, tell: boolean): void {
    if (this.#over) return;
    if (tell) this.close();
    this.#stop();
    this.#port.ended(reason);
  }

  #stop(): void {
    this.#over = true;
    this.#alarm.close();
    this.#handshake.close();
    clearTimeout(this.#sackTimer);
    clearImmediate(this.#turn);
  }

  #chunk(chunk: Chunk): void {
    const open = this.#open;
    switch (chunk.type) {
      case CHUNK.data:
        if (open) this.#data(open, readData(chunk));
        break;
      case CHUNK.sack:
        open?.outbound.acknowledge(readSack(chunk), performance.now());
        break;
      case CHUNK.init:
      case CHUNK.initAck:
      case CHUNK.cookieEcho:
      case CHUNK.cookieAck:
        this.#handshake.receive(chunk);
        break;
      case CHUNK.heartbeat:
        this.#send([encodeChunk(CHUNK.heartbeatAck, 0, chunk.body)]);
        break;
      case CHUNK.reconfig:
        this.#reconfigured(chunk);
        break;
      case CHUNK.shutdown:
        this.#send([encodeChunk(CHUNK.shutdownAck, 0, NOTHING)]);
        this.#end('the peer shut it down', false);
        break;
      case CHUNK.abort:
        this.#end('the peer aborted it', false);
        break;
      default:
      // Nothing that the peer was told we know.
    }
  }

  #data({ inbound }: Established, piece: DataChunk): void {
    const messages = inbound.take(piece);
    const gap = !messages || inbound.hasGaps;
    this.#steady = gap ? 0 : this.#steady + 1;
    if (gap) this.#sackNow = true;
    for (const message of messages ?? []) this.#port.message(message);
  }

  #reconfigured(chunk: Chunk): void {
    const { request, response } = readReconfig(chunk);
    if (response) this.#open?.resets.response(response);
    if (request) this.#open?.resets.request(request);
  }

  #establish(peer: Init): void {
    const { firstTsn } = this.#handshake;
    const outbound = new Outbound(firstTsn, peer.window);
    const inbound = new Inbound(peer.firstTsn);
    const resets = new Resets(
      {
        send: (chunk) => this.#send([chunk]),
        isIdle: (stream) => outbound.isIdle(stream),
        get lastTsn() {
          return outbound.lastTsn;
        },
        get cumulative() {
          return inbound.cumulative;
        },
        closed: (stream, by) => {
          if (by === 'us') outbound.restart(stream);
          this.#port.reset(stream, by);
        },
      },
      firstTsn,
    );
    this.#open = { outbound, inbound, resets };
    this.#port.established();
  }

  #send(chunks: readonly Buffer[], pieces?: readonly DataChunk[]): void {
    const packet = encodeSctp(this.#handshake.peer?.tag ?? 0, chunks, pieces);
    if (this.#together) this.#together.push(packet);
    else this.#port.send([packet]);
  }

  /** What one turn of the event loop brings is answered together. */
  #soon(): void {
    if (this.#over || this.#turn) return;
    this.#turn = setImmediate(() => {
      this.#turn = undefined;
      this.#flush();
    });
  }

  #flush(): void {
    const open = this.#open;
    if (!open || this.#over) return;
    const together: Buffer[] = [];
    this.#together = together;
    this.#advance(open, performance.now());
    this.#together = undefined;
    if (together.length > 0) this.#port.send(together);
    if (this.#unacknowledged > 0 && !this.#sackTimer) {
      this.#sackTimer = setTimeout(() => {
        this.#sackTimer = undefined;
        if (this.#unacknowledged > 0) this.#send([this.#sack(open)]);
      }, SACK_MS);
    }
    this.#alarm.by(open.outbound.deadline, open.resets.deadline);
  }

  #advance(open: Established, now: number): void {
    open.resets.advance(now);
    let sack = this.#sackNow || this.#unacknowledged >= SACK_PACKETS ? [this.#sack(open)] : undefined;
    for (let packets = 0; packets < BURST; packets++) {
      const pieces = open.outbound.packet(now, this.#port.left);
      if (pieces.length === 0) break;
      // It travels with data where there is some.
      sack ??= this.#unacknowledged > 0 ? [this.#sack(open)] : undefined;
      const beside = sack !== undefined && fits(sack, pieces);
      this.#send((beside && sack) || [], pieces);
      if (beside) sack = undefined;
      if (packets === BURST - 1) this.#soon();
    }
    if (sack) this.#send(sack);
  }

  #sack({ inbound }: Established): Buffer {
    this.#sackNow = false;
    this.#unacknowledged = 0;
    return encodeSack(inbound.sack());
  }

  #due(): void {
    const open = this.#open;
    const now = performance.now();
    const deadline = open?.outbound.deadline;
    if (deadline !== undefined && deadline <= now) open?.outbound.expire(now);
    this.#flush();
  }
}
