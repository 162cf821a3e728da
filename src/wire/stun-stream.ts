const HEADER_BYTES = 20;

/**
 * Cuts a byte stream into STUN messages (RFC 8489 section 6.2.2: over TCP the length in the header frames them).
 * Holds less than one message.
 */
export class StunStream {
  readonly #max: number;
  #held: Buffer = Buffer.alloc(0);

  /** @param max bytes of the largest message that is read */
  constructor(max: number) {
    this.#max = max;
  }

  /** The messages that are whole now; undefined when this is no STUN, and nothing more of it should be read. */
  take(piece: Uint8Array): Buffer[] | undefined {
    let held = this.#held.length === 0 ? Buffer.from(piece) : Buffer.concat([this.#held, piece]);
    const messages: Buffer[] = [];
    while (held.length >= HEADER_BYTES) {
      const length = HEADER_BYTES + held.readUInt16BE(2);
      // The two highest bits are nought in STUN (section 5): other protocols show themselves at once.
      if (length > this.#max || (held[0] ?? 0) > 0x3f) return undefined;
      if (held.length < length) break;
      messages.push(held.subarray(0, length));
      held = held.subarray(length);
    }
    if (held.length > this.#max) return undefined;
    this.#held = held;
    return messages;
  }
}
