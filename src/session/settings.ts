import type { PartialName } from '../identity/names.js';
import type { ExecSpec } from '../launch/spec.js';
import type { StdioMode } from '../launch/streams.js';
import type { Logger } from '../log.js';
import type { RendezvousSettings } from '../rendezvous/registry.js';
import type { Endpoint } from '../util/endpoint.js';
import type { HostPort } from '../util/host-port.js';
import type { Qos } from '../wire/reference-terms.js';
import type { StatusBoard } from './board.js';
import type { CandidateKind } from './candidate-list.js';
import type { EventSink } from './events.js';
import type { LinkPool } from './link-pool.js';
import type { NatWatches } from './nat-watch.js';
import type { Route } from './route.js';
import type { TcpSettings } from './tcp-mapping.js';
import type { TunnelSettings } from './tunnel.js';

/** Everything a session needs to know; the command line and the library both end here. */
export interface SessionSettings {
  readonly app: string;
  /** Path of the app repository. */
  readonly repo: string;
  /** Our identity; parts may be open when accepting over e-mail. */
  readonly host: PartialName;
  /** The peer; an acceptor may leave it open: everyone in the repository may then connect. */
  readonly peer: PartialName;
  /** STUN servers as typed: the first gives the endpoint, the others and CHANGE-REQUEST the behaviour. */
  readonly stun: readonly HostPort[];
  /** Local address and port for STUN, punching and the payload; port 0 = a fresh one each session. */
  readonly bind: Endpoint;
  /** What the program speaks, and as what (plexus 3.4); default `udp:either`. */
  readonly qos?: Qos;
  /** For programs that speak TCP, and for the tunnel where TCP can be punched; default: the STUN servers over TCP. */
  readonly tcp?: Partial<TcpSettings>;
  /** Several are used side by side: an acceptor listens on all, an initiator takes the first answer. */
  readonly rendezvous: RendezvousSettings | readonly RendezvousSettings[];
  /** Given to several acceptors and inviters of a process: they share one DHT node a network. */
  readonly pool?: LinkPool;
  /** Given to several acceptors of a process: they measure the NAT once. */
  readonly nats?: NatWatches;
  /** IP TTL of the opening packet. */
  readonly hops?: number;
  readonly responseTimeoutMs?: number;
  readonly handshakeTimeoutMs?: number;
  /** Send and take unsealed messages where a certificate is missing (plexus' way); never without being typed. */
  readonly allowPlaintext?: boolean;
  /** Punch toward private addresses too (both sides in one private network). */
  readonly allowPrivate?: boolean;
  /** Punch toward loopback too: demonstrations and tests on one machine. */
  readonly allowLoopback?: boolean;
  /** Which own addresses the peer is told besides the public endpoint; default: all kinds. */
  readonly candidates?: readonly CandidateKind[];
  /** Ask the router to forward a port (PCP, NAT-PMP, UPnP) while a session lasts; default: no, but the command line says yes. */
  readonly portMapping?: boolean;
  /** A hub that relays where no direct path is found. */
  readonly relay?: HostPort;
  /** By which ways the path may go; default: `either` where a relay is named, else `direct`. */
  readonly route?: Route;
  /** Content cipher of sealed messages; plexus reads both. */
  readonly cipher?: 'aes256' | 'des3';
  /** Folder for the seen-set and locks; default: `$XDG_STATE_HOME/awl` or `~/.local/state/awl`. */
  readonly stateDir?: string;
  readonly exec?: ExecSpec;
  /** The built-in tunnel instead of a program. */
  readonly tunnel?: TunnelSettings;
  /** Streams of a payload without `--exec-log`: ours (one-shot on a terminal), or none. */
  readonly stdio?: StdioMode;
  readonly log?: Logger;
  readonly onEvent?: EventSink;
  /** Shows what the process does; it is told by `onEvent`, and asks tunnels for their counters. */
  readonly board?: StatusBoard;
  /** Started when it is sure that this process works, which a second acceptor does not; closed at the end. */
  readonly beside?: () => Promise<{ close(): Promise<void> }>;
  readonly signal?: AbortSignal;
}

/** What only an acceptor knows. */
export interface AcceptorSettings extends SessionSettings {
  /** End after the first session that got a passage. */
  readonly once?: boolean;
  /** Stop accepting after this long. */
  readonly acceptTimeoutMs?: number;
}
