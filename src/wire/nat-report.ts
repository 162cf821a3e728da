/** RFC 4787 section 4.1 words; `not-measured` is a value of its own, never a guess. */
export type Mapping =
  | 'endpoint-independent'
  | 'address-dependent'
  | 'address-and-port-dependent'
  | 'not-measured';

/** RFC 4787 section 5 words. */
export type Filtering = Mapping;

export type Measured = 'yes' | 'no' | 'not-measured';

/** What is known of the NAT between a host and the STUN server. */
export interface NatReport {
  /** Is there a NAT at all: does the mapped address differ from every local one? */
  readonly nat: Measured;
  readonly mapping: Mapping;
  readonly filtering: Filtering;
  /** RFC 4787 section 6: do two inside hosts reach each other through the outside address? */
  readonly hairpin: Measured;
  /** RFC 4787 section 4.2.1: is the outside port the inside port? */
  readonly portPreservation: Measured;
  /** Steady step between the ports of consecutive mappings, where mapping depends on the destination. */
  readonly portStep?: number;
}

export const UNMEASURED: NatReport = {
  nat: 'not-measured',
  mapping: 'not-measured',
  filtering: 'not-measured',
  hairpin: 'not-measured',
  portPreservation: 'not-measured',
};
