import { AwlError } from '../errors.js';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import type { NatReport } from '../wire/nat-report.js';
import { describeNat } from './feasibility.js';
import type { PunchMachine } from './machine.js';

export interface FailureContext {
  readonly peer: Endpoint;
  readonly timeoutMs: number;
  readonly confirm: boolean;
  /** The peer is a plexus, which takes datagrams from the one endpoint that our message named. */
  readonly plexus?: boolean;
  readonly reports?: { readonly own: NatReport; readonly peer: NatReport } | undefined;
}

const FIREWALL =
  'see that both sides run at the same time and that no firewall blocks outgoing UDP; awl doctor shows your NAT';

const DETOUR =
  'use IPv6, or forward a UDP port on either router to --stun-client, or a relay on a third machine of your own, ' +
  'or try from another network';

/** What helps where the peer is no awl: it has no candidates, no IPv6 that it can read, and no relay of ours. */
const PLEXUS_DETOUR =
  'let the peer run awl, which searches for ports; or have the router forward a UDP port to this machine and let the ' +
  'peer invite; or try from another network';

/** Who is behind what, for both sides. */
function pairOf({ reports, plexus }: FailureContext): string | undefined {
  if (!reports) return undefined;
  if (plexus) {
    return `your side is behind ${article(describeNat(reports.own))}, and a plexus hears nothing but the one endpoint that a letter names`;
  }
  const [own, peer] = [describeNat(reports.own), describeNat(reports.peer)];
  return `your side is behind ${article(own)}, the peer behind ${article(peer)}`;
}

function article(words: string): string {
  return words.startsWith('no ') ? words : `a ${words}`;
}

/** NAT_IMPOSSIBLE: names the pair and the cures. */
function impossible(o: FailureContext): AwlError {
  const pair = pairOf(o) ?? 'the pair of NATs';
  return new AwlError('NAT_IMPOSSIBLE', `no direct path to ${formatEndpoint(o.peer)}: ${pair}`, {
    hint: o.plexus ? PLEXUS_DETOUR : DETOUR,
  });
}

/** HANDSHAKE_TIMEOUT: says how far it came, because each step has another cure. */
function timeout(o: FailureContext, machine: PunchMachine): AwlError {
  const where = formatEndpoint(o.peer);
  const seconds = `${Math.round(o.timeoutMs / 100) / 10} s`;
  const { sent, valid, bad } = machine.stats;
  const tried = [...machine.tried].join(', ') || 'nothing';
  const pair = pairOf(o);
  const fail = (step: string, hint: string) =>
    new AwlError('HANDSHAKE_TIMEOUT', `${step}; tried: ${tried}${pair ? `; ${pair}` : ''}`, { hint });
  if (!machine.heard && bad === 0) {
    return fail(
      `nothing arrived from the peer at ${where} within ${seconds} (${sent} datagrams sent)`,
      `${FIREWALL}; else ${o.plexus ? PLEXUS_DETOUR : DETOUR}`,
    );
  }
  if (!machine.heard) {
    return fail(
      `${bad} datagrams arrived within ${seconds}, but none was a handshake of the peer at ${where}`,
      'another program uses this port, or the sides hold different messages: let both start again',
    );
  }
  if (o.confirm && !machine.authentic) {
    return fail(
      `handshake frames arrived (${valid} within ${seconds}), but the peer at ${where} never confirmed them`,
      'its answers may be blocked, or somebody else sent the frames: let both sides start again',
    );
  }
  return fail(
    `the peer at ${where} is heard, but it did not hear us within ${seconds} (${sent} datagrams sent)`,
    'its NAT or firewall drops what we send: let the peer run awl doctor, or swap who invites',
  );
}

/** The error that an attempt without success ends with. */
export function punchFailure(
  reason: 'timeout' | 'impossible',
  o: FailureContext,
  machine: PunchMachine,
): AwlError {
  return reason === 'impossible' ? impossible(o) : timeout(o, machine);
}
