import type { Endpoint } from '../../util/endpoint.js';

/** How a router is asked: RFC 6887, RFC 6886, or UPnP's Internet Gateway Device. */
export type MappingProtocol = 'pcp' | 'nat-pmp' | 'upnp';

export interface MapRequest {
  /** Local UDP port. */
  readonly port: number;
  /** The outside port that we would like, or had. */
  readonly wanted: number;
  readonly lifetimeS: number;
  /** 12 random octets of this mapping. */
  readonly nonce: Buffer;
}

export interface Granted {
  readonly external: Endpoint;
  /** Seconds; infinite where a router only knows mappings without end. */
  readonly lifetimeS: number;
}

/** A router that forwards ports, by one protocol. */
export interface PortMapper {
  readonly protocol: MappingProtocol;
  readonly gateway: string;
  /** The router's own name, in printable ASCII. */
  readonly name?: string;
  /** @throws Error that says why the router does not; the signal's reason */
  map(request: MapRequest, signal: AbortSignal): Promise<Granted>;
  /** Ends a mapping. @throws Error as `map` */
  unmap(request: MapRequest, granted: Granted, signal: AbortSignal): Promise<void>;
}

/** Where to ask: the router, and our own address on its network. */
export interface Gateway {
  readonly gateway: string;
  readonly local: string;
}
