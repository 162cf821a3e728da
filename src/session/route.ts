import type { Opened } from '../rendezvous/sealing.js';
import type { SessionSettings } from './settings.js';

/** By which ways a side goes (`--route`, as plexus 3.4 has it for UDP and TCP). */
export const ROUTES = ['direct', 'relay', 'either'] as const;
export type Route = (typeof ROUTES)[number];

/** Capabilities by which a letter says it (docs/PROTOCOL.md); without one of them the way is direct. */
const CAP_EITHER = 'relay';
const CAP_RELAY = 'relay-only';

/** Who names a relay means it to be used; who does not must say so. */
export function ownRoute({ route, relay }: Pick<SessionSettings, 'route' | 'relay'>): Route {
  return route ?? (relay ? 'either' : 'direct');
}

export function routeCaps(route: Route): readonly string[] {
  if (route === 'direct') return [];
  return route === 'relay' ? [CAP_EITHER, CAP_RELAY] : [CAP_EITHER];
}

/** What a verified message says. */
export function peerRoute({ extension }: Opened): Route {
  const caps = extension?.caps ?? [];
  if (!caps.includes(CAP_EITHER)) return 'direct';
  return caps.includes(CAP_RELAY) ? 'relay' : 'either';
}
