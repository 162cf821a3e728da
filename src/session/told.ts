import { AwlError, errorText } from '../errors.js';
import type { Logger } from '../log.js';
import { isMoving } from '../punch/feasibility.js';
import { PLEXUS_SOCKETS, SECOND_HOPS } from '../punch/limits.js';
import type { Told } from '../punch/plexus.js';
import { portAfter, stepsBetween } from '../punch/ports.js';
import { bind, newStunId } from '../stun/client.js';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import { UdpSocket } from '../util/udp.js';
import type { Candidate } from '../wire/extension.js';
import type { NatReport } from '../wire/nat-report.js';
import { encodeStun } from '../wire/stun.js';

/**
 * How far ahead of its counter an inviter names a port: what others send behind the same NAT, until the answer is here, may
 * use up so many. The rest is used up by ourselves, to where PLEXUS_SOCKETS are left.
 */
const AHEAD_STEPS = 64;
/** Looks at the counter before an inviter is where it wants to be: each uses up what is left but a few. */
const WIND_ROUNDS = 6;

/** The one endpoint that a message names for a peer which reads no other. */
export interface Named {
  readonly told: Told;
  readonly endpoint: Endpoint;
}

/** What tells a peer which reads candidates that the reference names a port to come. */
export function foretold({ told, endpoint }: Named): readonly Candidate[] {
  return told === 'predicted' ? [{ type: 'predicted', endpoint }] : [];
}

export interface NamingParts {
  readonly role: 'invite' | 'accept';
  /** Own NAT, as far as known. */
  readonly report: NatReport;
  /** Where STUN saw the main socket. */
  readonly outer: Endpoint;
  /** A port of the router that leads to the main socket. */
  readonly mapped?: Endpoint;
  /** A STUN server that answers. */
  readonly server: Endpoint;
  readonly bindAddress: string;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/**
 * What to name to a plexus: where STUN saw us, unless the NAT moves. Then a port that the router forwards, if the peer is
 * the one who sends first; or one that a counting NAT will have given out by then.
 */
export async function nameFor(parts: NamingParts): Promise<Named> {
  const { role, report, outer, mapped, log } = parts;
  const seen: Named = { told: 'reflexive', endpoint: outer };
  if (!isMoving(report)) return seen;
  // Another address would be that of a router which is itself behind a NAT.
  if (role === 'accept' && mapped?.address === outer.address) return { told: 'mapped', endpoint: mapped };
  const { portStep } = report;
  if (portStep === undefined) return seen;
  try {
    const { address, port } = await newest(parts);
    const steps = role === 'accept' ? PLEXUS_SOCKETS : AHEAD_STEPS;
    return { told: 'predicted', endpoint: { address, port: portAfter(port, steps * portStep) } };
  } catch (error) {
    parts.signal.throwIfAborted();
    log.debug(`the counter of the NAT could not be asked for: ${errorText(error)}`);
    return seen;
  }
}

/**
 * Brings an inviter's counting NAT to where the named port is among the next PLEXUS_SOCKETS, by datagrams that end behind it.
 * @throws AwlError NAT_IMPOSSIBLE if others have used up that port; STUN_UNREACHABLE; the signal's reason
 */
export async function windTo({ endpoint }: Named, parts: NamingParts): Promise<void> {
  const { report, log } = parts;
  const { portStep = 1 } = report;
  for (let round = 0; round < WIND_ROUNDS; round++) {
    const left = stepsBetween((await newest(parts)).port, endpoint.port, portStep);
    log.debug(`${left} ports of the NAT are left before ${formatEndpoint(endpoint)}, which the letter named`);
    if (left < 1 || left > AHEAD_STEPS) break;
    if (left <= PLEXUS_SOCKETS) return;
    await useUp(left - PLEXUS_SOCKETS / 2, parts);
  }
  throw new AwlError(
    'NAT_IMPOSSIBLE',
    `the NAT has given ${formatEndpoint(endpoint)}, which our letter named to a plexus, to somebody else meanwhile`,
    {
      hint: 'invite again: it is a matter of how much else is sent behind this NAT until the answer comes; or let the peer invite',
    },
  );
}

/** Where a socket is seen that nobody has used: the NAT's last port. */
async function newest({ server, bindAddress, signal }: NamingParts): Promise<Endpoint> {
  const socket = await UdpSocket.bind({ address: bindAddress, port: 0 });
  try {
    return (await bind(socket, server, { signal })).mapped;
  } finally {
    await socket.close();
  }
}

async function useUp(count: number, { server, bindAddress }: NamingParts): Promise<void> {
  const request = encodeStun({ kind: 'request', id: newStunId() });
  const sockets = await Promise.all(
    Array.from({ length: count }, () => UdpSocket.bind({ address: bindAddress, port: 0 })),
  );
  await Promise.all(sockets.map((socket) => socket.send(request, server, SECOND_HOPS)));
  await Promise.all(sockets.map((socket) => socket.close()));
}
