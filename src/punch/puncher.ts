import { randomBytes } from 'node:crypto';
import { AwlError } from '../errors.js';
import { type Endpoint, familyOf, formatEndpoint } from '../util/endpoint.js';
import type { UdpSocket } from '../util/udp.js';
import type { Candidate } from '../wire/extension.js';
import { UNMEASURED } from '../wire/nat-report.js';
import { canonicalEndpoint, isAllowedTarget, whyRefused } from './address-filter.js';
import { birthdayGate } from './birthday-gate.js';
import { punchFailure } from './failure.js';
import { isMoving } from './feasibility.js';
import { PunchMachine } from './machine.js';
import { usableCandidates } from './neighbours.js';
import type { PunchOptions, PunchResult } from './options.js';
import { describePath, type Outcome } from './outcome.js';
import { type Plan, planPunch } from './plan.js';
import { SocketPool } from './socket-pool.js';

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

/** Numbers of the sockets that the caller has: the main one, the fresh ones, and last that of IPv6. */
function givenSockets({ socket, ladder }: PunchOptions): Map<number, UdpSocket> {
  const list = [socket, ...(ladder?.fresh ?? []), ...(ladder?.beside ? [ladder.beside] : [])];
  return new Map(list.map((one, index) => [index, one]));
}

function makePlan(o: PunchOptions, peer: Endpoint): Plan {
  const { ladder, reports } = o;
  const usable = (list: readonly Candidate[]) =>
    ladder
      ? usableCandidates(list, { own: ladder.ownCandidates, ownOuter: ladder.ownOuter, peerOuter: peer }, o)
      : [];
  const fresh = usable((ladder?.peerFresh ?? []).map((endpoint) => ({ type: 'srflx', endpoint })));
  return planPunch({
    role: o.role,
    own: {
      report: reports?.own ?? UNMEASURED,
      fresh: ladder?.fresh.length ?? 0,
      family: familyOf(o.socket.local),
      ...(ladder?.beside && { v6: ladder.fresh.length + 1 }),
      ...(ladder?.told && { told: ladder.told }),
    },
    peer: {
      endpoint: peer,
      fresh: fresh.map(({ endpoint }) => endpoint),
      candidates: usable(ladder?.peerCandidates ?? []),
      report: reports?.peer ?? UNMEASURED,
      chooses: ladder?.chooses === true && o.confirmKey !== undefined,
      birthday: ladder?.birthday ?? false,
      ...(ladder?.plexus && { plexus: true }),
    },
    hops: o.hops,
    measured: o.measured ?? false,
  });
}

/** Do our answers leave by other ports than the one that the peer sends to? Not by one that was known beforehand. */
function isElsewhere({ reports, ladder }: PunchOptions): boolean {
  const { told = 'reflexive' } = ladder ?? {};
  return told === 'reflexive' && reports !== undefined && isMoving(reports.own);
}

function makeMachine(o: PunchOptions, peer: Endpoint, start: number, admitWide: () => boolean): PunchMachine {
  return new PunchMachine(
    {
      role: o.role,
      secret: o.secret,
      peer,
      plan: makePlan(o, peer),
      moving: isElsewhere(o),
      timeoutMs: o.timeoutMs,
      ...(o.confirmKey ? { confirmKey: o.confirmKey } : {}),
      ...(o.ladder?.chooses && { chooses: true }),
      ...(o.ladder?.tellsSeen && { tellsSeen: true }),
      allow: (endpoint) => isAllowedTarget(endpoint, o),
      admitWide,
      random: randomBytes,
    },
    start,
  );
}

interface Won {
  readonly outcome: Outcome;
  /** The socket of the path that won. */
  readonly socket?: UdpSocket;
}

/** Runs the machine on its sockets until it has an outcome; leaves no listener, timer or spare socket behind. */
async function drive(o: PunchOptions, machine: PunchMachine, now: () => number): Promise<Won> {
  let timer: NodeJS.Timeout | undefined;
  let onAbort = () => {};
  let onDatagram = (_socket: number, _data: Buffer, _from: Endpoint) => {};
  const { address } = o.socket.local;
  const pool = new SocketPool(givenSockets(o), address, (...arrived) => onDatagram(...arrived));
  try {
    const outcome = await new Promise<Outcome>((resolve, reject) => {
      const pump = () => {
        for (const { data, to, ttl, socket } of machine.take()) void pool.send(socket, data, to, ttl);
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
      onDatagram = (socket, data, source) => {
        const from = canonicalEndpoint(source);
        if (!from) return;
        machine.datagram(from, data, now(), socket);
        pump();
      };
      onAbort = () => reject(o.signal?.reason);
      o.signal?.addEventListener('abort', onAbort, { once: true });
      tick();
    });
    if (outcome.kind === 'failed') return { outcome };
    const socket = await pool.keep(outcome.path.socket);
    return { outcome, ...(socket && { socket }) };
  } finally {
    clearTimeout(timer);
    o.signal?.removeEventListener('abort', onAbort);
    await pool.end();
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
  const holder = {};
  const admitWide = () => birthdayGate.enter(holder, o.ladder?.peerKey ?? '', performance.now());
  const machine = makeMachine(o, peer, start, admitWide);
  o.log.debug(`punching to ${formatEndpoint(peer)} as the ${o.role === 'invite' ? 'inviter' : 'acceptor'}`);
  try {
    const { outcome, socket = o.socket } = await drive(o, machine, now);
    if (outcome.kind === 'failed') {
      const { reports, timeoutMs, ladder } = o;
      const confirm = o.confirmKey !== undefined;
      const plexus = ladder?.plexus === true;
      throw punchFailure(outcome.reason, { peer, timeoutMs, reports, confirm, plexus }, machine);
    }
    const { path, by } = outcome;
    return {
      socket,
      number: path.socket,
      peer: path.endpoint,
      how: describePath(path, peer),
      confirmed: o.confirmKey !== undefined && path.authentic,
      ...(path.rttMs !== undefined && { rttMs: path.rttMs }),
      provenBy: by,
      ...(path.seen && { seen: path.seen }),
      stats: { ...machine.stats, provenMs: (machine.provenAt ?? start) - start, elapsedMs: now() - start },
    };
  } finally {
    birthdayGate.leave(holder);
    const { sent, sentBytes, wide, received, bad, foreign } = machine.stats;
    o.log.debug(
      `punch: ${sent} datagrams (${sentBytes} B, ${wide} of the wide rungs) out, ${received} in, ${bad} bad, ` +
        `${foreign} from elsewhere; ${machine.provenAt === undefined ? 'nothing proven' : `proven after ${Math.round(machine.provenAt - start)} ms`}; ` +
        `tried ${[...machine.tried].join(', ') || 'nothing'}`,
    );
  }
}
