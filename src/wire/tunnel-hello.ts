import { AwlError } from '../errors.js';
import { bodyText, type TunnelFrame } from './tunnel-frame.js';
import { TUNNEL_HELLO_BYTES, TUNNEL_VERSION } from './tunnel-limits.js';

/** The first frame of each side. */
export interface TunnelHello {
  /** What the side exports, as formatExport writes it; informative, the exporter decides at each open. */
  readonly exports: readonly string[];
}

const EXPORTS_MAX = 256;

/** JSON: `v` the version, `exports` a list of texts, `caps` a list of names of additions, none today. */
export function encodeHello(hello: TunnelHello): string {
  const exports = hello.exports.slice(0, EXPORTS_MAX);
  const text = () => JSON.stringify({ v: TUNNEL_VERSION, exports, caps: [] });
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
  const { v, exports } = value as Readonly<Record<string, unknown>>;
  if (v !== TUNNEL_VERSION) {
    throw new AwlError('MESSAGE_UNSUPPORTED', 'the peer speaks another version of the tunnel', {
      hint: 'both sides should run the same version of awl',
    });
  }
  if (!Array.isArray(exports) || exports.length > EXPORTS_MAX) throw malformed();
  return { exports: exports.filter((one): one is string => typeof one === 'string' && one.length < 512) };
}

function malformed(): AwlError {
  return new AwlError('MESSAGE_MALFORMED', 'the tunnel does not begin with a hello', {
    hint: 'both sides should run the same version of awl',
  });
}
