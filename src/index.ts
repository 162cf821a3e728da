/** The public library: invite a peer, accept peers, look at the own NAT. */
export { AwlError, type AwlErrorOptions, type ErrorCode, isAwlError } from './errors.js';
export type { IdentityName, PartialName } from './identity/names.js';
export { parseName, parsePartialName } from './identity/names.js';
export type { ExecSpec } from './launch/spec.js';
export { createLogger, type Logger, type LogLevel } from './log.js';
export type { RendezvousSettings } from './rendezvous/registry.js';
export type { AwlEvent, EventSink } from './session/events.js';
export { accept, invite } from './session/library.js';
export { LinkPool } from './session/link-pool.js';
export type { Passage, Role } from './session/passage.js';
export { probe } from './session/probing.js';
export type { AcceptorSettings, SessionSettings } from './session/settings.js';
export type { PassageListener, StreamPassage } from './session/streams.js';
export type { DatagramFlow } from './tunnel/flow.js';
export type { Endpoint } from './util/endpoint.js';
export type { HostPort } from './util/host-port.js';
export { UdpSocket } from './util/udp.js';
export type { NatReport } from './wire/nat-report.js';
