import { AwlError, errorText } from '../errors.js';
import type { IdentityName } from '../identity/names.js';
import type { Logger } from '../log.js';
import { classOf } from '../stun/sanity.js';
import type { Endpoint } from '../util/endpoint.js';
import type { Means } from '../wire/extension.js';
import { type NatReport, UNMEASURED } from '../wire/nat-report.js';
import { agree, type Contribution, newContribution, placeOnLadder } from './contribution.js';
import { locate } from './locating.js';
import type { NatWatch } from './nat-watch.js';
import type { Passage, Role } from './passage.js';
import { openPassage } from './punching.js';
import type { RouterWatch } from './routers.js';
import { newSessionId } from './session-id.js';
import { bindSockets, closeSockets, type SessionSockets } from './sockets.js';
import type { StationSettings } from './station.js';

/** How long a side waits for STUN: those who carry the messages wait for it. */
const STUN_MS = 1_500;

/** What a side's message has to say, for the peer to meet it; sealing and signing it is the carrier's business. */
export interface SideWord extends Means {
  /** Public endpoint of the main socket; without STUN its own address. */
  readonly outer: Endpoint;
  /** 64-bit puzzle, as in a reference. */
  readonly puzzle: bigint;
}

export interface SideParts {
  readonly settings: StationSettings;
  readonly nat?: NatWatch;
  readonly routers?: RouterWatch;
  readonly log: Logger;
  /** Ends the opening; the side itself lives on. */
  readonly signal: AbortSignal;
}

export interface SideMeeting {
  readonly role: Role;
  readonly host: IdentityName;
  readonly peer: IdentityName;
  /** What the peer's verified message said. */
  readonly theirs: SideWord;
  /** What identifies both messages, the same on both sides. */
  readonly digests: { readonly invite: string; readonly accept: string };
  readonly patienceMs?: number;
  readonly signal: AbortSignal;
}

/** One side of a session whose two messages somebody else carries: its sockets, and what the peer must know of them. */
export class Side {
  readonly word: SideWord;
  readonly #parts: SideParts;
  readonly #sockets: SessionSockets;
  readonly #own: Contribution;
  readonly #nat: NatReport;
  #closed: Promise<void> | undefined;

  private constructor(parts: SideParts, sockets: SessionSockets, found: Pick<SideWord, 'outer' | 'cand'>) {
    const { nat } = parts;
    const own = newContribution();
    this.#parts = parts;
    this.#sockets = sockets;
    this.#own = own;
    this.#nat = nat?.current() ?? UNMEASURED;
    const fresh = sockets.fresh.named(this.#nat);
    this.word = {
      ...found,
      puzzle: own.puzzle,
      dh: own.dh.publicKey,
      ...(fresh.length > 0 && { fresh }),
      nat: this.#nat,
      caps: own.caps,
    };
  }

  /** @throws AwlError UDP_BIND, STUN_UNREACHABLE where there is no address at all; the signal's reason */
  static async open(parts: SideParts): Promise<Side> {
    const { settings, routers, log } = parts;
    const sockets = await bindSockets(settings.bind, log, routers);
    try {
      return new Side(parts, sockets, await located(sockets, parts));
    } catch (error) {
      await closeSockets(sockets);
      throw error;
    }
  }

  /**
   * Climbs the ladder to the peer. Once only; whatever comes of it, the side is closed, and the passage is the caller's.
   * @throws AwlError HANDSHAKE_TIMEOUT, NAT_IMPOSSIBLE, ADDRESS_REFUSED, MESSAGE_MISDIRECTED; the signal's reason
   */
  async meet(meeting: SideMeeting): Promise<Passage> {
    const { settings, nat, log } = this.#parts;
    const { role, host, peer, theirs, digests, patienceMs, signal } = meeting;
    const { outer, cand } = this.word;
    let kept: Passage | undefined;
    try {
      const keys = agree(this.#own, theirs, digests);
      kept = await openPassage({
        context: { settings: { ...settings, ...near(outer, settings) }, emit: () => {} },
        session: newSessionId(),
        role,
        host: { name: host },
        peer: { name: peer },
        sockets: this.#sockets,
        outer,
        candidates: { own: cand, peer: theirs.cand },
        target: theirs.outer,
        keys,
        abilities: placeOnLadder(theirs),
        hops: nat?.hops,
        reports: { own: this.#nat, peer: theirs.nat ?? UNMEASURED },
        ...(patienceMs !== undefined && { patienceMs }),
        begun: performance.now(),
        log,
        signal,
      });
      return kept;
    } finally {
      this.#closed ??= closeSockets(this.#sockets, kept?.socket);
      await this.#closed;
    }
  }

  /** Gives the sockets back where nobody was met. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= closeSockets(this.#sockets);
    return this.#closed;
  }
}

/** Whoever has no public address meets peers of its own network, or nobody. */
function near({ address }: Endpoint, { allowPrivate }: StationSettings) {
  return allowPrivate || classOf(address) === 'private' ? { allowPrivate: true } : {};
}

/** Where the sockets are seen, and by which addresses else they may be reached. */
async function located(
  sockets: SessionSockets,
  { settings, nat, log, signal }: SideParts,
): Promise<Pick<SideWord, 'outer' | 'cand'>> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(STUN_MS)]);
  const report = nat?.current() ?? UNMEASURED;
  const parts = { sockets, settings, report, fresh: true, log, signal: limit, waiting: signal };
  const { seen, gathering } = await locate(parts, (error) => {
    signal.throwIfAborted();
    log.debug(`no STUN server saw us: ${errorText(error)}`);
    return undefined;
  });
  signal.throwIfAborted();
  const own = gathering.hosts[0];
  const outer = seen?.outer ?? own;
  if (!outer) throw new AwlError('STUN_UNREACHABLE', 'this machine has no address that a peer could reach');
  return { outer, cand: gathering.list(outer) };
}
