import { randomBytes } from 'node:crypto';
import {
  CHUNK,
  type Chunk,
  encodeChunk,
  encodeInit,
  encodeSctp,
  type Init,
  PARAMETER,
  readInit,
} from '../../wire/sctp.js';
import { INIT_TRIES, RTO_FIRST_MS, STREAMS_MAX, WINDOW_BYTES } from './limits.js';

const NOTHING = Buffer.alloc(0);
/** The chunks that we know beyond the basic ones. */
const EXTENSIONS = Buffer.from([CHUNK.reconfig]);

export interface HandshakePort {
  send(packet: Buffer): void;
  /** Once. */
  readonly done: (peer: Init) => void;
  readonly failed: () => void;
}

/**
 * The four packets that begin an association (RFC 9260 section 5). DTLS has proved the peer and there is one path, so that the
 * cookie needs to hold nothing.
 */
export class Handshake {
  readonly tag = (randomBytes(4).readUInt32BE(0) | 1) >>> 0;
  readonly firstTsn = randomBytes(4).readUInt32BE(0);
  /** What the peer said; undefined before that. */
  peer: Init | undefined;
  readonly #port: HandshakePort;
  readonly #cookie = randomBytes(16);
  #asking = false;
  #done = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(port: HandshakePort) {
    this.#port = port;
  }

  /** Asks the peer; the other side only waits for that. */
  start(): void {
    this.#asking = true;
    this.#ask(0, encodeSctp(0, [this.#init(CHUNK.init)]));
  }

  /** @throws RangeError */
  receive(chunk: Chunk): void {
    if (chunk.type === CHUNK.init) this.#invited(readInit(chunk));
    else if (chunk.type === CHUNK.initAck) this.#accepted(readInit(chunk));
    else if (chunk.type === CHUNK.cookieEcho && this.peer && chunk.body.equals(this.#cookie)) {
      this.#port.send(encodeSctp(this.peer.tag, [encodeChunk(CHUNK.cookieAck, 0, NOTHING)]));
      this.#finish(this.peer);
    } else if (chunk.type === CHUNK.cookieAck && this.peer && this.#asking) this.#finish(this.peer);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #invited(init: Init): void {
    // Who asks itself, or is through already, needs no other association.
    if (this.#asking || this.#done || init.tag === 0) return;
    this.peer = init;
    this.#port.send(encodeSctp(init.tag, [this.#init(CHUNK.initAck, this.#cookie)]));
  }

  #accepted(init: Init): void {
    const cookie = init.parameters.get(PARAMETER.cookie);
    if (!this.#asking || this.peer || !cookie || init.tag === 0) return;
    this.peer = init;
    this.#ask(0, encodeSctp(init.tag, [encodeChunk(CHUNK.cookieEcho, 0, cookie)]));
  }

  #finish(peer: Init): void {
    this.close();
    if (this.#done) return;
    this.#done = true;
    this.#port.done(peer);
  }

  /** Sends a packet until it is answered. */
  #ask(tries: number, packet: Buffer): void {
    this.close();
    if (tries === INIT_TRIES) {
      this.#port.failed();
      return;
    }
    this.#port.send(Buffer.from(packet));
    this.#timer = setTimeout(() => this.#ask(tries + 1, packet), RTO_FIRST_MS * 1.5 ** tries);
  }

  #init(type: number, cookie?: Buffer): Buffer {
    const extensions: [number, Buffer] = [PARAMETER.extensions, EXTENSIONS];
    return encodeInit(type, {
      tag: this.tag,
      window: WINDOW_BYTES,
      outbound: STREAMS_MAX,
      inbound: STREAMS_MAX,
      firstTsn: this.firstTsn,
      parameters: new Map(cookie ? [[PARAMETER.cookie, cookie], extensions] : [extensions]),
    });
  }
}
