const HEAD_END = '\r\n\r\n';
const LINE = 64;
const AS_IS = 0;
const KNOWN_HEAD = 1;
const OWN_HEAD = 2;
const OWN_HEAD_MAX = 1024;

/** The head that our sealing writes (docs/PROTOCOL.md, Sealing): not worth 180 bytes of a datagram. */
const SEALED_HEAD = Buffer.from(
  [
    'MIME-Version: 1.0',
    'Content-Disposition: attachment; filename="smime.p7m"',
    'Content-Type: application/x-pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"',
    'Content-Transfer-Encoding: base64',
    '',
    '',
  ].join('\r\n'),
);

/**
 * Sealed bytes in as few as possible: a base64 body as what it stands for, a usual head as one byte. What could not be
 * made again bit for bit is kept as it is. Not compressed: ciphertext does not shrink.
 */
export function compact(bytes: Uint8Array): Buffer {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = whole.indexOf(HEAD_END);
  if (at >= 0) {
    const head = whole.subarray(0, at + HEAD_END.length);
    const body = Buffer.from(whole.toString('latin1', head.length), 'base64');
    if (body.length > 0 && Buffer.concat([head, lines(body)]).equals(whole)) {
      if (head.equals(SEALED_HEAD)) return Buffer.concat([Buffer.from([KNOWN_HEAD]), body]);
      if (head.length <= OWN_HEAD_MAX) {
        const start = Buffer.from([OWN_HEAD, head.length >> 8, head.length & 0xff]);
        return Buffer.concat([start, head, body]);
      }
    }
  }
  return Buffer.concat([Buffer.from([AS_IS]), whole]);
}

/** Undoes {@link compact}; undefined for anything that it does not write. */
export function expand(packed: Buffer): Buffer | undefined {
  const [kind] = packed;
  if (kind === AS_IS) return packed.subarray(1);
  if (kind === KNOWN_HEAD) return Buffer.concat([SEALED_HEAD, lines(packed.subarray(1))]);
  if (kind !== OWN_HEAD || packed.length < 3) return undefined;
  const end = 3 + packed.readUInt16BE(1);
  if (end > packed.length || end > 3 + OWN_HEAD_MAX) return undefined;
  return Buffer.concat([packed.subarray(3, end), lines(packed.subarray(end))]);
}

function lines(body: Buffer): Buffer {
  return Buffer.from(body.toString('base64').replace(new RegExp(`.{1,${LINE}}`, 'g'), '$&\r\n'), 'latin1');
}
