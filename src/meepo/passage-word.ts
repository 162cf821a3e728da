import { isAwlError } from '../errors.js';
import type { SideWord } from '../session/side.js';
import { formatEndpoint, parseEndpoint } from '../util/endpoint.js';
import { meansToJson, readMeans } from '../wire/extension.js';

/** That the sender is awl and offers no path of awl's own: WebRTC it is. */
export const NO_WORD = JSON.stringify({ v: 2 });

/**
 * What one awl node tells another inside its sealed description, so that they need no WebRTC:
 * `{"v":2,"at":"ip:port","z":"16 hex digits","dh":…,"cand":…,"fresh":…,"nat":…,"caps":…}`, the last five as in an
 * extension.
 */
export function encodePassageWord({ outer, puzzle, ...means }: SideWord): string {
  const z = puzzle.toString(16).padStart(16, '0');
  return JSON.stringify({ v: 2, at: formatEndpoint(outer), z, ...meansToJson(means) });
}

/** Undefined for what another version may say; the peer is awl all the same, and WebRTC is left. */
export function decodePassageWord(text: string): SideWord | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    const fields = new Map<string, unknown>(Object.entries(value));
    const { v, at, z } = value as Readonly<Record<string, unknown>>;
    const outer = typeof at === 'string' ? parseEndpoint(at) : undefined;
    if (v !== 2 || !outer || typeof z !== 'string' || !/^[0-9a-f]{16}$/.test(z)) return undefined;
    const means = readMeans(fields);
    return means.dh && { ...means, outer, puzzle: BigInt(`0x${z}`) };
  } catch (error) {
    if (isAwlError(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
