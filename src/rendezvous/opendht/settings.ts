import type { HostPort } from '../../util/host-port.js';

/** OpenDHT as the rendezvous, as plexus uses it (spec a.1, d). */
export interface OpendhtSettings {
  /** plexus' default: bootstrap.jami.net:4222. */
  readonly bootstrap: readonly HostPort[];
  /** Local UDP port of the DHT node; 0: any. */
  readonly port: number;
  /** OpenDHT network id. */
  readonly network: number;
  /** Subjects of invitation and answer (`PLEXUS_INVITE_TOKEN`, `PLEXUS_ACCEPT_TOKEN`). */
  readonly tokens?: { readonly invite: string; readonly accept: string };
}
