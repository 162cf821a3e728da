import { type Endpoint, familyOf } from '../util/endpoint.js';
import type { Candidate } from '../wire/extension.js';
import { canonicalEndpoint, isAllowedTarget, type TargetOptions } from './address-filter.js';

/** What tells whether the peer may sit in the same private network. */
export interface Vicinity {
  /** Own addresses as our message named them. */
  readonly own: readonly Candidate[];
  /** Where STUN saw us and where it saw the peer. */
  readonly ownOuter?: Endpoint;
  readonly peerOuter: Endpoint;
}

/**
 * The candidates of a verified message that may be sent to, canonical. A private address counts only as a `host`, and
 * only where the peer can be a neighbour: both sides are behind the same public address, or one of our own addresses
 * is of the same network. Special ranges and ports under 1024 are never targets, whoever signed them.
 */
export function usableCandidates(
  candidates: readonly Candidate[],
  vicinity: Vicinity,
  options: TargetOptions,
): Candidate[] {
  return candidates.flatMap(({ type, endpoint: named }) => {
    const endpoint = canonicalEndpoint(named);
    if (!endpoint) return [];
    if (isAllowedTarget(endpoint, options)) return [{ type, endpoint }];
    const near = type === 'host' && isNeighbour(endpoint, vicinity);
    return near && isAllowedTarget(endpoint, { ...options, allowPrivate: true }) ? [{ type, endpoint }] : [];
  });
}

function isNeighbour(endpoint: Endpoint, { own, ownOuter, peerOuter }: Vicinity): boolean {
  if (ownOuter && canonicalEndpoint(ownOuter)?.address === canonicalEndpoint(peerOuter)?.address) return true;
  const network = networkOf(endpoint);
  return own.some(({ type, endpoint: ours }) => {
    const address = canonicalEndpoint(ours);
    return type === 'host' && address !== undefined && networkOf(address) === network;
  });
}

/** The /24 of an IPv4 address, the /64 of an IPv6 one: what people's networks are. */
function networkOf(endpoint: Endpoint): string {
  if (familyOf(endpoint) === 4) return endpoint.address.split('.').slice(0, 3).join('.');
  const [head = '', tail] = endpoint.address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const middle = tail === undefined ? [] : new Array<string>(8 - left.length - right.length).fill('0');
  return [...left, ...middle, ...right].slice(0, 4).join(':');
}
