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
import { type HostParty, loadHost, loadPeer, type PeerParty, partyKey } from './parties.js';
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

/** Where invitations of all links come in: verified, then admitted, then each in a session of its own. */
export class InvitationDesk {
  readonly #options: DeskOptions;
  readonly #limits = new SessionLimits();
  readonly #sessions = new Set<Promise<void>>();
  readonly #waiting: (() => void)[] = [];
  readonly #nat: NatWatch;
  /** Invitations of the last minutes by sender and puzzle: the same one may come over two links. */
  readonly #known = new Map<string, number>();

  constructor(options: DeskOptions) {
    this.#options = options;
    const { settings, log, emit } = options.context;
    this.#nat = new NatWatch(settings.stun, settings.bind.address, log, emit, options.signal);
    this.#nat.current();
    options.context.routers?.current();
    options.signal.addEventListener('abort', () => {
      for (const wake of this.#waiting.splice(0)) wake();
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
    if (queued && !(await this.#wait(invited.peer))) return;
    const key = partyKey(invited.peer);
    this.#limits.started(key);
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
      this.#waiting.shift()?.();
    }
  }

  /** Waits for a free place; false if the inviter will have given up by the time there is one. */
  async #wait(peer: PeerParty): Promise<boolean> {
    const since = performance.now();
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#limits.dequeue();
    if (this.#options.signal.aborted) return false;
    const waited = performance.now() - since;
    if (waited < RESPONSE_TIMEOUT_MS) return true;
    this.#refuse(formatName(peer.name), `waited ${Math.round(waited / 1000)} s for a free place`);
    this.#waiting.shift()?.();
    return false;
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
    return loadHost(context.repository, name, this.#loading());
  }

  async #peerFor(envelope: Envelope): Promise<PeerParty> {
    const { context, pinned } = this.#options;
    const name = envelope.from ?? (await this.#nameOf(envelope));
    if (!name)
      throw new AwlError('MESSAGE_NOT_PINNED', 'nobody in the app repository has the key of its sender');
    if (!matchesName(name, context.settings.peer)) {
      throw new AwlError('MESSAGE_NOT_PINNED', `${formatName(name)} is not the peer that was named`);
    }
    return pinned.peer ?? loadPeer(context.repository, name, this.#loading());
  }

  /** Where only a key says who wrote, the repository says whose it is. */
  async #nameOf({ fromKey }: Envelope): Promise<IdentityName | undefined> {
    const { repository, settings } = this.#options.context;
    return fromKey && repository.findByKey(fromKey, settings.peer);
  }

  #loading() {
    const { settings, log } = this.#options.context;
    return { ...(settings.allowPlaintext && { allowPlaintext: true }), named: false, log };
  }
}
