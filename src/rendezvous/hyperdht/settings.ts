import type { HostPort } from '../../util/host-port.js';

/** HyperDHT as the rendezvous: no account, no server (DESIGN decision 4). */
export interface HyperdhtSettings {
  /** Nodes of an own network; absent: HyperDHT's public nodes. */
  readonly bootstrap?: readonly HostPort[];
  /** Local UDP port of the DHT node; 0 or absent: any. */
  readonly port?: number;
}
