import type { X509Certificate } from 'node:crypto';
import type { IdentityName } from '../identity/names.js';
import type { Endpoint } from '../util/endpoint.js';
import type { UdpSocket } from '../util/udp.js';

export type Role = 'accept' | 'invite';

/** The punched path: what a payload needs to use it, and how it was won (DESIGN, "Words"). */
export interface Passage {
  /** Short id that every log line and event of the session carries. */
  readonly session: string;
  readonly role: Role;
  readonly app: string;
  readonly host: IdentityName;
  readonly peer: IdentityName;
  /** The pinned certificate that signed the peer's message; absent only if plaintext was typed. */
  readonly peerCertificate?: X509Certificate;
  /** What the three endpoints below are for; with `tcp` the payload makes the connection itself. */
  readonly transport: 'udp' | 'tcp';
  /** What a newer plexus text agreed on, such as `tcp:client`; absent where both sides only said 3.0. */
  readonly qos?: string;
  /** Local bind, plexus' `%inner%`. */
  readonly inner: Endpoint;
  /** Own endpoint as STUN saw it, plexus' `%outer%`. */
  readonly outer: Endpoint;
  /** Where the peer's datagrams really come from, plexus' `%alien%`. */
  readonly alien: Endpoint;
  /** puzzle XOR puzzle, 64 bits; weak by plexus' design, see SECURITY.md. */
  readonly secret: bigint;
  /** 32 bytes from the authenticated key agreement; only between awl peers. */
  readonly sessionKey?: Buffer;
  /** Both sides' kernels cut and join datagrams: a tunnel goes as volleys. */
  readonly volleys?: boolean;
  readonly how: string;
  /** True if the peer proved the session key over this very path. */
  readonly confirmed: boolean;
  readonly rttMs?: number;
  /** The socket that owns the mapping. Whoever takes the passage closes it. */
  readonly socket: UdpSocket;
  /** Gives the local port back, so that a program can bind it; a port that the router forwards stays. Idempotent. */
  handOver(): Promise<void>;
  /** Gives everything back: the local port, and the router's if one was mapped. Idempotent. */
  close(): Promise<void>;
}
