const HEADER_BYTES = 8;

/**
 * What wormhole says on the stream (spec plexus h.2). `control` is an empty frame: it opens a client of the
 * importer, or says that a client's or the service's data has ended. `data` is a piece of a frame's payload.
 */
export type WormholePart =
  | { readonly kind: 'control'; readonly id: number }
  | { readonly kind: 'data'; readonly id: number; readonly data: Buffer };

/** Header of a frame: client id u32, payload length u32, both big-endian. Length 0 is a control frame. */
export function encodeFrameHeader(id: number, length: number): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt32BE(id, 0);
  header.writeUInt32BE(length, 4);
  return header;
}

/**
 * Cuts the stream into frames. Payload is handed on as it comes and never collected, so that a frame that claims
 * 4 GiB costs nothing.
 */
export class FrameReader {
  #header = Buffer.alloc(0);
  #id = 0;
  #left = 0;

  push(chunk: Buffer): WormholePart[] {
    const parts: WormholePart[] = [];
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#left > 0) {
        const data = rest.subarray(0, this.#left);
        this.#left -= data.length;
        rest = rest.subarray(data.length);
        parts.push({ kind: 'data', id: this.#id, data });
        continue;
      }
      const missing = HEADER_BYTES - this.#header.length;
      this.#header = Buffer.concat([this.#header, rest.subarray(0, missing)]);
      rest = rest.subarray(missing);
      if (this.#header.length < HEADER_BYTES) break;
      this.#id = this.#header.readUInt32BE(0);
      this.#left = this.#header.readUInt32BE(4);
      this.#header = Buffer.alloc(0);
      if (this.#left === 0) parts.push({ kind: 'control', id: this.#id });
    }
    return parts;
  }
}
