import {
  DTLS_RECORD_BYTES,
  DTLS_TYPE,
  type DtlsKeys,
  DtlsOpener,
  DtlsSealer,
  dtlsRecords,
  isClientHello,
} from '../wire/dtls-record.js';
import { FULL_RECORDS_MAX } from './limits.js';
import { FULL_PACKET_BYTES } from './sctp/limits.js';

/**
 * The number of our first record. Werift numbers from 0 again behind its last handshake message, and once more whenever it
 * repeats that: nonces would be used twice under one key.
 */
const FIRST_NUMBER = 2 ** 32;
const FULL_RECORD_BYTES = FULL_PACKET_BYTES + DTLS_RECORD_BYTES;

export interface DtlsDataPort {
  /** A run of records of {@link FULL_RECORD_BYTES}, the last one maybe shorter: a datagram each. Never throws. */
  send(records: Buffer, each: number): void;
  /** A record of the handshake, which is werift's. */
  handshake(record: Buffer): void;
  readonly data: (packet: Buffer) => void;
  /** The peer said goodbye. */
  readonly closed: () => void;
}

/**
 * What DTLS carries once both sides are sure of each other. From the peer's first word on nothing in the clear counts any
 * more: werift would begin anew for everybody who asks, and end for everybody who says so.
 */
export class DtlsData {
  readonly #port: DtlsDataPort;
  readonly #sealer: DtlsSealer;
  readonly #opener: DtlsOpener;
  /** The client of the handshake has the last word of the peer; the server may have to repeat its own. */
  #confirmed: boolean;

  constructor(port: DtlsDataPort, ours: DtlsKeys, theirs: DtlsKeys, isClient: boolean) {
    this.#port = port;
    this.#sealer = new DtlsSealer(ours, FIRST_NUMBER);
    this.#opener = new DtlsOpener(theirs);
    this.#confirmed = isClient;
  }

  /** Packets in the order in which they leave; those that fill a datagram go together. */
  send(packets: readonly Buffer[]): void {
    for (let at = 0; at < packets.length; ) {
      let end = at;
      let bytes = 0;
      do {
        bytes += (packets[end] as Buffer).length + DTLS_RECORD_BYTES;
        end += 1;
      } while (this.#joins(packets, at, end));
      const records = Buffer.allocUnsafe(bytes);
      let written = 0;
      for (; at < end; at++) written = this.#sealer.seal(packets[at] as Buffer, records, written);
      this.#port.send(records, FULL_RECORD_BYTES);
    }
  }

  /** Whether the packet at `end` may follow those from `at` on. */
  #joins(packets: readonly Buffer[], at: number, end: number): boolean {
    const next = packets[end];
    if (!next || end - at >= FULL_RECORDS_MAX || next.length > FULL_PACKET_BYTES) return false;
    return packets[end - 1]?.length === FULL_PACKET_BYTES;
  }

  /** One datagram, or several that the kernel joined. Never throws. */
  receive(datagram: Buffer): void {
    for (const record of dtlsRecords(datagram)) {
      const type = record[0];
      if (type === DTLS_TYPE.data || type === DTLS_TYPE.alert) {
        const data = this.#opener.open(record);
        if (!data) continue;
        this.#confirmed = true;
        if (type === DTLS_TYPE.data) this.#port.data(data);
        else this.#port.closed();
      } else if (!this.#confirmed && !isClientHello(record)) {
        this.#port.handshake(record);
      }
    }
  }
}
