import { isIP } from 'node:net';
import { isAllowedTarget } from '../punch/address-filter.js';
import { CANDIDATES_MAX } from './limits.js';

/** Attribute by which awl nodes know each other; whoever does not know it ignores it (RFC 8866 section 5.13). */
const AWL = 'a=x-awl:';
const AWL_MAX_CHARS = 4096;

/** A description that offers nothing but what awl nodes tell each other. */
export const BARE_SDP = 'v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n';

/** Does the description offer WebRTC? */
export function hasMedia(sdp: string): boolean {
  return /^m=/m.test(sdp);
}

export interface SdpRules {
  /** Candidates on 127/8 and ::1: tests and demos on one machine. */
  readonly allowLoopback: boolean;
}

/**
 * A peer's session description with the candidates left out that nobody may make us send to: special ranges, names,
 * ports under 1024, and more of them than anyone needs. Private networks stay: that is how nodes of one LAN meet.
 */
export function restrainSdp(sdp: string, rules: SdpRules): string {
  let candidates = 0;
  const kept = sdp.split(/\r?\n/).filter((line) => {
    if (!line.startsWith('a=candidate:')) return !line.startsWith('a=remote-candidates:');
    const [, component, transport = '', , address = '', port] = line.split(' ');
    if (component !== '1' || transport.toLowerCase() !== 'udp' || isIP(address) === 0) return false;
    const options = { allowPrivate: true, allowLoopback: rules.allowLoopback };
    if (!isAllowedTarget({ address, port: Number(port) }, options)) return false;
    candidates += 1;
    return candidates <= CANDIDATES_MAX;
  });
  return kept.join('\r\n');
}

/** Adds what awl nodes tell each other. */
export function withAwlAttribute(sdp: string, value: string): string {
  return `${sdp.replace(/(\r?\n)?$/, '\r\n')}${AWL}${Buffer.from(value).toString('base64url')}\r\n`;
}

/** What {@link withAwlAttribute} added; undefined from a real Meepo. */
export function awlAttribute(sdp: string): string | undefined {
  const line = sdp.split(/\r?\n/).find((one) => one.startsWith(AWL));
  if (line === undefined || line.length > AWL_MAX_CHARS) return undefined;
  return Buffer.from(line.slice(AWL.length), 'base64url').toString('utf8');
}
