import { randomBytes } from 'node:crypto';
import { AwlError } from '../errors.js';
import type { Logger } from '../log.js';
import { type Endpoint, familyOf, formatEndpoint } from '../util/endpoint.js';
import type { UdpSocket } from '../util/udp.js';
import type { PunchRole } from '../wire/confirm.js';
import type { NatReport } from '../wire/nat-report.js';
import { canonicalEndpoint, isAllowedTarget, type TargetOptions, whyRefused } from './address-filter.js';
import type { ProvenBy } from './dialogue.js';
import { punchFailure } from './failure.js';
import { feasibility, isMoving } from './feasibility.js';
import { describePath, type Outcome, PunchMachine, type PunchStats } from './machine.js';

export interface PunchOptions extends TargetOptions {
  /** Stays open: the passage belongs to its port. */
  readonly socket: UdpSocket;
  readonly role: PunchRole;
  /** Puzzle XOR puzzle. */
  readonly secret: bigint;
  /** The endpoint that the peer's message named. */
  readonly peer: Endpoint;
  /** IP TTL of the acceptor's openers (`--punch-hops`), 1 to 255. */
  readonly hops: number;
  /** 32 bytes of `deriveConfirmKey`; present iff both sides announced the confirmation. */
  readonly confirmKey?: Buffer;
  /** What is known of both NATs; UNMEASURED for a peer that does not say. */
  readonly reports?: { readonly own: NatReport; readonly peer: NatReport };
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly log: Logger;
  /** Milliseconds, steady. */
  readonly now?: () => number;
}

export interface PunchResult {
  /** Where the peer really is. */
  readonly peer: Endpoint;
  /** `reflexive`: as announced; `remapped`: another port of that address; `moved`: another address. */
  readonly how: 'reflexive' | 'remapped' | 'moved';
  /** Did the peer prove the confirmation key? Always true if there was one. */
  readonly confirmed: boolean;
  /** Round trip of the confirmation, where it was not repeated. */
  readonly rttMs?: number;
  readonly provenBy: ProvenBy;
  readonly stats: Readonly<PunchStats> & {
    /** From the start to the proof, and to the hand-over after lingering. */
    readonly provenMs: number;
    readonly elapsedMs: number;
  };
}

/** A v6 socket takes IPv4 peers in their mapped form only. */
function forSocket(socket: UdpSocket, to: Endpoint): Endpoint {
  const mapped = familyOf(socket.local) === 6 && familyOf(to) === 4;
  return mapped ? { address: `::ffff:${to.address}`, port: to.port } : to;
}

function target(o: PunchOptions): Endpoint {
  const peer = canonicalEndpoint(o.peer);
  const why = whyRefused(o.peer, o);
  if (peer && why === undefined) return peer;
  throw new AwlError('ADDRESS_REFUSED', `the peer asks to be reached at ${formatEndpoint(o.peer)}: ${why}`, {
    hint:
      why?.includes('private') || why?.includes('local')
        ? 'if both sides are in one network, allow private addresses; else the peer needs a public STUN server'
        : 'the peer must announce the public endpoint that a STUN server sees',
  });
}

function makeMachine(o: PunchOptions, peer: Endpoint, now: number): PunchMachine {
  return new PunchMachine(
    {
      role: o.role,
      secret: o.secret,
      peer,
      hops: o.hops,
      moving: o.reports !== undefined && isMoving(o.reports.own),
      timeoutMs: o.timeoutMs,
      hopeless: o.reports !== undefined && feasibility(o.reports.own, o.reports.peer) === 'impossible',
      ...(o.confirmKey ? { confirmKey: o.confirmKey } : {}),
      allow: (endpoint) => isAllowedTarget(endpoint, o),
      random: randomBytes,
    },
    now,
  );
}

/** Runs the machine on the socket until it has an outcome; leaves no listener and no timer behind. */
async function drive(o: PunchOptions, machine: PunchMachine, now: () => number): Promise<Outcome> {
  let timer: NodeJS.Timeout | undefined;
  let unsubscribe = () => {};
  let onAbort = () => {};
  try {
    return await new Promise<Outcome>((resolve, reject) => {
      const pump = () => {
        for (const { data, to, ttl } of machine.take())
          void o.socket.send(data, forSocket(o.socket, to), ttl);
        clearTimeout(timer);
        if (machine.outcome) return resolve(machine.outcome);
        if (o.socket.closed)
          return reject(new AwlError('ABORTED', 'the UDP socket was closed during the punch'));
        timer = setTimeout(tick, Math.max(0, Math.ceil(machine.nextTick - now())));
      };
      const tick = () => {
        machine.tick(now());
        pump();
      };
      unsubscribe = o.socket.subscribe((data, source) => {
        const from = canonicalEndpoint(source);
        if (!from) return;
        machine.datagram(from, data, now());
        pump();
      });
      onAbort = () => reject(o.signal?.reason);
      o.signal?.addEventListener('abort', onAbort, { once: true });
      tick();
    });
  } finally {
    unsubscribe();
    clearTimeout(timer);
    o.signal?.removeEventListener('abort', onAbort);
  }
}

/**
 * Opens the path to the peer and proves it: the handshake of spec f, and between awl peers the confirmation.
 * Resolves once the passage is there and the peer had a fair chance to see it too; the socket stays open.
 * @throws AwlError ADDRESS_REFUSED before anything is sent, HANDSHAKE_TIMEOUT, NAT_IMPOSSIBLE; the signal's reason
 */
export async function punch(o: PunchOptions): Promise<PunchResult> {
  o.signal?.throwIfAborted();
  const now = o.now ?? (() => performance.now());
  const peer = target(o);
  const start = now();
  const machine = makeMachine(o, peer, start);
  o.log.debug(`punching to ${formatEndpoint(peer)} as the ${o.role === 'invite' ? 'inviter' : 'acceptor'}`);
  try {
    const outcome = await drive(o, machine, now);
    if (outcome.kind === 'failed') {
      const { reports, timeoutMs } = o;
      throw punchFailure(
        outcome.reason,
        { peer, timeoutMs, reports, confirm: o.confirmKey !== undefined },
        machine,
      );
    }
    const { path, by } = outcome;
    const single =
      path.confirmsSent === 1 && path.acknowledgedAt !== undefined && path.lastSent !== undefined;
    return {
      peer: path.endpoint,
      how: describePath(path, peer),
      confirmed: o.confirmKey !== undefined && path.authentic,
      ...(single ? { rttMs: (path.acknowledgedAt ?? 0) - (path.lastSent ?? 0) } : {}),
      provenBy: by,
      stats: { ...machine.stats, provenMs: (machine.provenAt ?? start) - start, elapsedMs: now() - start },
    };
  } finally {
    const { sent, sentBytes, received, bad, foreign } = machine.stats;
    o.log.debug(
      `punch: ${sent} datagrams (${sentBytes} B) out, ${received} in, ${bad} bad, ${foreign} from elsewhere`,
    );
  }
}
