import { RESPONSE_TIMEOUT_MS, SIGNING_TIME_WINDOW_MS } from '../constants.js';
import { AwlError, isAwlError } from '../errors.js';
import { formatName, type IdentityName, matchesName } from '../identity/names.js';
import type { Opened } from '../rendezvous/sealing.js';
import { retentionOf } from '../rendezvous/sealing-rules.js';
import type { Envelope } from '../rendezvous/types.js';
import { answerInvitation } from './answering.js';
import type { SessionContext } from './context.js';
import { openLetter } from './exchange.js';
import { SessionLimits } from './limits.js';
import type { Delivery } from './links.js';
import { NatWatch } from './nat-watch.js';
import { type HostParty, loadHost, loadPeer, type PeerParty, partyKey, partyOptions } from './parties.js';
import type { Passage } from './passage.js';

/** Codes that mean "this message was meant for us and is done with", so that it may be deleted. */
const OURS = ['MESSAGE_STALE', 'MESSAGE_REPLAYED'] as const;

export interface DeskOptions {
  readonly context: SessionContext;
  /** Identities that the command line names, loaded once. */
  readonly pinned: { readonly host?: HostParty; readonly peer?: PeerParty };
  readonly signal: AbortSignal;
  readonly onPassage: (passage: Passage) => void;
}

/** A verified invitation on its way to a session. */
interface Invited {
  readonly host: HostParty;
  readonly peer: PeerParty;
  readonly opened: Opened;
  readonly delivery: Delivery;
}

interface Waiting {
  readonly key: string;
  readonly name: string;
  /** Monotonic milliseconds. */
  readonly since: number;
  readonly wake: (started: boolean) => void;
}

/** Where invitations of all links come in: verified, then admitted, then each in a session of its own. */
export class InvitationDesk {
  readonly #options: DeskOptions;
  readonly #limits = new SessionLimits();
  readonly #sessions = new Set<Promise<void>>();
  #waiting: Waiting[] = [];
  readonly #nat: NatWatch;
  /** Invitations of the last minutes by sender and puzzle: the same one may come over two links. */
  readonly #known = new Map<string, number>();

  constructor(options: DeskOptions) {
    this.#options = options;
    const { settings, log, emit } = options.context;
    const { stun, bind, nats } = settings;
    this.#nat = nats?.of(stun, bind.address, log) ?? new NatWatch(stun, bind.address, log, options.signal);
    const forget = this.#nat.onReport((report) => emit({ event: 'nat', report }));
    this.#nat.current();
    options.context.routers?.current();
    options.signal.addEventListener('abort', () => {
      forget();
      for (const { wake } of this.#waiting.splice(0)) wake(false);
    });
  }

  /** Waits for the sessions that run. */
  async idle(): Promise<void> {
    await Promise.allSettled([...this.#sessions]);
  }

  /**
   * Nothing happens for a message that the pinned peer did not sign.
   * @throws AwlError MESSAGE_*, IDENTITY_* saying why the message is ignored
   */
  async consider(delivery: Delivery): Promise<void> {
    const { context } = this.#options;
    const { envelope } = delivery;
    const host = await this.#hostFor(envelope.to);
    const peer = await this.#peerFor(envelope);
    const opened = await this.#verify({ delivery, host, peer });
    void envelope.ack();
    const name = formatName(peer.name);
    if (this.#isKnown(peer, opened)) {
      context.log.debug(`invitation ${envelope.id} came over another rendezvous already`);
      return;
    }
    const admission = this.#limits.admit(partyKey(peer), performance.now());
    if (admission.verdict === 'refuse') {
      this.#refuse(name, admission.reason);
      return;
    }
    const invited = { host, peer, opened, delivery };
    const session = this.#run(invited, admission.verdict === 'queue').finally(() =>
      this.#sessions.delete(session),
    );
    this.#sessions.add(session);
  }

  async #verify({ delivery, host, peer }: Omit<Invited, 'opened'>): Promise<Opened> {
    const { settings, seen, now } = this.#options.context;
    const { link, envelope } = delivery;
    try {
      const opened = openLetter(link, envelope, { settings, kind: 'invite', host, peer, now: now() });
      if (!(await seen.admit(opened.digest, now(), retentionOf(opened)))) {
        throw new AwlError('MESSAGE_REPLAYED', 'this invitation was seen before');
      }
      return opened;
    } catch (error) {
      if (isAwlError(error, ...OURS)) await envelope.ack();
      throw error;
    }
  }

  #isKnown(peer: PeerParty, opened: Opened): boolean {
    const at = performance.now();
    for (const [key, since] of this.#known) if (at - since > SIGNING_TIME_WINDOW_MS) this.#known.delete(key);
    const key = `${partyKey(peer)} ${opened.reference.puzzle}`;
    if (this.#known.has(key)) return true;
    this.#known.set(key, at);
    return false;
  }

  async #run(invited: Invited, queued: boolean): Promise<void> {
    const { context, signal, onPassage } = this.#options;
    const key = partyKey(invited.peer);
    if (!queued) this.#limits.started(key);
    else if (!(await this.#wait(invited.peer, key))) return;
    let outcome: 'passage' | 'failed' = 'failed';
    try {
      const passage = await answerInvitation({
        context,
        host: invited.host,
        peer: invited.peer,
        invitation: invited.opened,
        delivery: invited.delivery,
        nat: this.#nat.current(),
        hops: this.#nat.hops,
        signal,
      });
      if (passage) {
        outcome = 'passage';
        onPassage(passage);
      }
    } finally {
      this.#limits.ended(key, outcome, performance.now());
      this.#startNext();
    }
  }

  /** Waits for a free place, which is taken then; false if the inviter has given up by the time there is one. */
  #wait(peer: PeerParty, key: string): Promise<boolean> {
    const name = formatName(peer.name);
    const since = performance.now();
    return new Promise((wake) => this.#waiting.push({ key, name, since, wake }));
  }

  /** The one that waits longest, among those whose peer has a place free. */
  #startNext(): void {
    const now = performance.now();
    for (const one of this.#waiting.filter(({ since }) => now - since >= RESPONSE_TIMEOUT_MS)) {
      this.#leave(one);
      this.#refuse(one.name, `waited ${Math.round((now - one.since) / 1000)} s for a free place`);
      one.wake(false);
    }
    const next = this.#waiting.find(({ key }) => this.#limits.hasRoom(key));
    if (!next) return;
    this.#leave(next);
    this.#limits.started(next.key);
    next.wake(true);
  }

  #leave(one: Waiting): void {
    this.#waiting = this.#waiting.filter((other) => other !== one);
    this.#limits.dequeue(one.key);
  }

  #refuse(peer: string, message: string): void {
    const { log, emit } = this.#options.context;
    log.warning(`invitation of ${peer} refused: ${message}`);
    emit({ event: 'refused', code: 'LIMIT_REACHED', message, peer });
  }

  async #hostFor(name: IdentityName): Promise<HostParty> {
    const { context, pinned } = this.#options;
    if (pinned.host) return pinned.host;
    if (!matchesName(name, context.settings.host)) {
      throw new AwlError('MESSAGE_MISDIRECTED', `addressed to ${formatName(name)}`);
    }
    return loadHost(context.repository, name, partyOptions(context, false));
  }

  async #peerFor(envelope: Envelope): Promise<PeerParty> {
    const { context, pinned } = this.#options;
    const name = envelope.from ?? (await this.#nameOf(envelope));
    if (!name)
      throw new AwlError('MESSAGE_NOT_PINNED', 'nobody in the app repository has the key of its sender');
    if (!matchesName(name, context.settings.peer)) {
      throw new AwlError('MESSAGE_NOT_PINNED', `${formatName(name)} is not the peer that was named`);
    }
    return pinned.peer ?? loadPeer(context.repository, name, partyOptions(context, false));
  }

  /** Where only a key says who wrote, the repository says whose it is. */
  async #nameOf({ fromKey }: Envelope): Promise<IdentityName | undefined> {
    const { repository, settings } = this.#options.context;
    return fromKey && repository.findByKey(fromKey, settings.peer);
  }
}
