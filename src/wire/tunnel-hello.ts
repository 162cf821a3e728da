import { AwlError } from '../errors.js';
import { bodyText, type TunnelFrame } from './tunnel-frame.js';
import { TUNNEL_HELLO_BYTES, TUNNEL_VERSION } from './tunnel-limits.js';

/** The first frame of each side. */
export interface TunnelHello {
  /** What the side exports, as formatExport writes it; informative, the exporter decides at each open. */
  readonly exports: readonly string[];
  /** The side keeps the tunnel for a while when its path is lost: `keep` among the `caps`. */
  readonly keeps?: boolean;
  /** The inviter goes on with the tunnel that has this token, 16 bytes, instead of a new one. */
  readonly resume?: Buffer;
  /** Targets beyond that list may be asked for; rules that the other side does not see decide. */
  readonly any?: boolean;
  /** The side would move the tunnel to TCP: `tcp` among the `caps`. */
  readonly tcp?: boolean;
}

const ANY_CAP = 'any';

const EXPORTS_MAX = 256;
const CAP_KEEP = 'keep';
const CAP_TCP = 'tcp';
const TOKEN = /^[A-Za-z0-9_-]{22}$/;

/** JSON: `v` the version, `exports` a list of texts, `caps` a list of names of additions (`any`, `keep`, `tcp`), `resume` the token. */
export function encodeHello(hello: TunnelHello): string {
  const exports = hello.exports.slice(0, EXPORTS_MAX);
  const caps = [
    ...(hello.any ? [ANY_CAP] : []),
    ...(hello.keeps ? [CAP_KEEP] : []),
    ...(hello.tcp ? [CAP_TCP] : []),
  ];
  const resume = hello.resume && { resume: hello.resume.toString('base64url') };
  const text = () => JSON.stringify({ v: TUNNEL_VERSION, exports, caps, ...resume });
  while (Buffer.byteLength(text()) > TUNNEL_HELLO_BYTES) exports.pop();
  return text();
}

/** @throws AwlError MESSAGE_MALFORMED, or MESSAGE_UNSUPPORTED for another version */
export function readHello(frame: TunnelFrame): TunnelHello {
  if (frame.type !== 'hello') throw malformed();
  let value: unknown;
  try {
    value = JSON.parse(bodyText(frame));
  } catch {
    throw malformed();
  }
  if (typeof value !== 'object' || value === null) throw malformed();
  const { v, exports, caps, resume } = value as Readonly<Record<string, unknown>>;
  if (v !== TUNNEL_VERSION) {
    throw new AwlError(
      'MESSAGE_UNSUPPORTED',
      `the peer speaks version ${Number(v)} of the tunnel, not ${TUNNEL_VERSION}`,
      {
        hint: 'both sides should run the same version of awl',
      },
    );
  }
  if (!Array.isArray(exports) || exports.length > EXPORTS_MAX) throw malformed();
  if (resume !== undefined && (typeof resume !== 'string' || !TOKEN.test(resume))) throw malformed();
  return {
    exports: exports.filter((one): one is string => typeof one === 'string' && one.length < 512),
    keeps: Array.isArray(caps) && caps.includes(CAP_KEEP),
    ...(resume !== undefined && { resume: Buffer.from(resume, 'base64url') }),
    ...(Array.isArray(caps) && caps.includes(ANY_CAP) && { any: true }),
    ...(Array.isArray(caps) && caps.includes(CAP_TCP) && { tcp: true }),
  };
}

function malformed(): AwlError {
  return new AwlError('MESSAGE_MALFORMED', 'the tunnel does not begin with a hello', {
    hint: 'both sides should run the same version of awl',
  });
}
