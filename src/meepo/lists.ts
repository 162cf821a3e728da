import { formatPlace } from './destination.js';
import type { ChannelInfo, LinkState } from './link.js';
import type { Sinks } from './sinks.js';
import type { Sources } from './sources.js';
import type { Transports } from './transports.js';

export interface TransportInfo {
  readonly peerID: string;
  readonly state: LinkState;
  readonly dataChannels: readonly ChannelInfo[];
}

export interface TeleportationInfo {
  readonly name: string;
  readonly peer: string;
  readonly state: LinkState;
  readonly portal: 'source' | 'sink';
  readonly source: { readonly network: string; readonly address: string };
  readonly sink: { readonly network: string; readonly address: string };
  readonly channels: number;
  /** True if the peer got a secret in a form that it can use elsewhere. */
  readonly exposed?: boolean;
}

/** What `transport list` shows. */
export function transportInfos(transports: Transports): TransportInfo[] {
  return transports.all.map(({ peer, state, channels }) => ({ peerID: peer, state, dataChannels: channels }));
}

export interface ListedNode {
  readonly transports: Transports;
  readonly sources: Sources;
  readonly sinks: Sinks;
}

/** What `teleportation list` shows: ours first. */
export function teleportationInfos({ transports, sources, sinks }: ListedNode): TeleportationInfo[] {
  const state = (peer: string) => transports.get(peer)?.state ?? 'closed';
  const ours = sources.all.map((one) => ({
    ...{ name: one.name, peer: one.peer, portal: 'source' as const, state: state(one.peer) },
    source: { network: one.source.network, address: formatPlace(one.source) },
    sink: { network: 'tcp', address: one.remote },
    channels: one.streams.size,
    ...(one.exposed && { exposed: true }),
  }));
  const theirs = sinks.all.map((one) => ({
    ...{ name: one.name, peer: one.peer, portal: 'sink' as const, state: state(one.peer) },
    source: { network: one.source.network, address: formatPlace(one.source) },
    sink: { network: 'tcp', address: one.written },
    channels: one.streams.size,
  }));
  return [...ours, ...theirs];
}
