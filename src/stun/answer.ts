import type { Endpoint } from '../util/endpoint.js';
import { type DecodedStun, hasCookie, type StunMessage } from '../wire/stun.js';

/** Where a server listens: one or two addresses, two ports each. */
export interface ServerLayout {
  readonly addresses: readonly [string] | readonly [string, string];
  readonly port: number;
  readonly altPort: number;
}

/** A reply, and the own endpoint that it must leave from. */
export interface Reply {
  readonly from: Endpoint;
  readonly message: StunMessage;
}

/** RFC 8489 section 14.8. */
const UNKNOWN_ATTRIBUTE = 420;
const CHANGE_REQUEST = 0x0003;

/**
 * What to answer to a Binding request that arrived at `own` from `client`; undefined: nothing.
 *
 * Modern requests get MAPPED, XOR-MAPPED, RESPONSE-ORIGIN and, from two addresses, OTHER-ADDRESS (RFC 5780
 * section 6.1). Classic ones (no cookie), and those that carry CHANGE-REQUEST as plexus always does, get MAPPED,
 * SOURCE and CHANGED in one answer, without which plexus 3.1 gives up (spec e.1). The largest reply is
 * 2.8 times its request on the wire (IPv6 with CHANGE-REQUEST, 76 to 212 octets; IPv4 2.1 times, 56 to 120).
 */
export function answerBinding(
  request: DecodedStun,
  client: Endpoint,
  own: Endpoint,
  layout: ServerLayout,
): Reply | undefined {
  if (request.kind !== 'request') return undefined;
  const { id, change } = request;
  const modern = hasCookie(id);
  const refuse = (types: readonly number[]): Reply => ({
    from: own,
    message: {
      kind: 'error',
      id,
      error: { code: UNKNOWN_ATTRIBUTE, reason: 'Unknown Attribute' },
      unknownAttributes: types,
    },
  });
  if (modern && request.notUnderstood.length > 0) return refuse(request.notUnderstood);
  const second = layout.addresses.find((address) => address !== own.address);
  if (change?.ip && second === undefined) {
    // RFC 5780 section 6.1 wants the error; a classic client (plexus) would take it for the end of the session.
    return modern ? refuse([CHANGE_REQUEST]) : undefined;
  }
  const other: Endpoint = {
    address: second ?? own.address,
    port: own.port === layout.port ? layout.altPort : layout.port,
  };
  const from: Endpoint = {
    address: change?.ip ? other.address : own.address,
    port: change?.port ? other.port : own.port,
  };
  const legacy = !modern || change !== undefined;
  return {
    from,
    message: {
      kind: 'success',
      id,
      mapped: client,
      ...(legacy && { source: from, changed: other }),
      ...(modern && { xorMapped: client, origin: from }),
      ...(modern && second !== undefined && { other }),
    },
  };
}
