import { RESPONSE_TIMEOUT_MS } from '../constants.js';
import { AwlError, isAwlError } from '../errors.js';
import { formatName, type IdentityName, isComplete, matchesName } from '../identity/names.js';
import { type Opened, open } from '../rendezvous/sealing.js';
import type { Envelope } from '../rendezvous/types.js';
import { backoffMs } from '../util/backoff.js';
import { AsyncQueue } from '../util/queue.js';
import { sleep } from '../util/sleep.js';
import { answerInvitation } from './answering.js';
import { openContext, type SessionContext } from './context.js';
import { SessionLimits } from './limits.js';
import { NatWatch } from './nat-watch.js';
import { type HostParty, loadHost, loadPeer, type PeerParty, partyKey } from './parties.js';
import type { Passage } from './passage.js';
import type { AcceptorSettings } from './settings.js';

/** Codes that mean "this message was meant for us and is done with", so that it may be deleted. */
const OURS = ['MESSAGE_STALE', 'MESSAGE_REPLAYED'] as const;

/**
 * Answers invitations until the signal aborts or the accept time is over; yields each passage as it is won.
 * Sessions run side by side; the reader owns each passage and closes it. One that was won but not read when
 * the loop ends is closed here.
 * @throws AwlError IDENTITY_*, RENDEZVOUS_REFUSED, RENDEZVOUS_UNTRUSTED; an unreachable rendezvous is retried
 */
export async function* accept(settings: AcceptorSettings): AsyncGenerator<Passage, void> {
  const context = await openContext(settings);
  const stop = new AbortController();
  const stopListening = new AbortController();
  const signal = settings.signal ? AbortSignal.any([settings.signal, stop.signal]) : stop.signal;
  const timer =
    settings.acceptTimeoutMs === undefined
      ? undefined
      : setTimeout(() => stopListening.abort(), settings.acceptTimeoutMs);
  const loop = new AcceptLoop(context, signal, AbortSignal.any([signal, stopListening.signal]));
  try {
    await loop.begin();
    yield* loop.passages;
  } finally {
    clearTimeout(timer);
    stop.abort();
    await loop.finished();
    await context.close();
  }
}

class AcceptLoop {
  readonly passages = new AsyncQueue<Passage>();
  readonly #context: SessionContext;
  /** Ends everything. */
  readonly #signal: AbortSignal;
  /** Ends the taking of invitations; sessions under way go on. */
  readonly #listenSignal: AbortSignal;
  readonly #limits = new SessionLimits();
  readonly #sessions = new Set<Promise<void>>();
  readonly #waiting: (() => void)[] = [];
  readonly #nat: NatWatch;
  #pinned: { host?: HostParty; peer?: PeerParty } = {};
  #listening: Promise<void> | undefined;

  constructor(context: SessionContext, signal: AbortSignal, listenSignal: AbortSignal) {
    this.#context = context;
    this.#signal = signal;
    this.#listenSignal = listenSignal;
    signal.addEventListener('abort', () => {
      for (const wake of this.#waiting.splice(0)) wake();
    });
    const { settings, log, emit } = context;
    this.#nat = new NatWatch(settings.stun, settings.bind.address, log, emit, signal);
  }

  /** Checks the identities that the command line names, then connects and starts listening. */
  async begin(): Promise<void> {
    const { settings, repository, log } = this.#context;
    this.#pinned = {
      ...(isComplete(settings.host) && {
        host: await loadHost(repository, settings.host, this.#loading(true)),
      }),
      ...(isComplete(settings.peer) && {
        peer: await loadPeer(repository, settings.peer, this.#loading(true)),
      }),
    };
    this.#nat.current();
    if (!(await this.#connect())) {
      this.passages.end();
      return;
    }
    log.info(`accepting ${settings.app} for ${formatName(settings.host)} over ${settings.rendezvous.name}`);
    this.#context.emit({
      event: 'listening',
      rendezvous: settings.rendezvous.name,
      app: settings.app,
      host: formatName(settings.host),
    });
    this.#listening = this.#listen().then(
      () => this.#endWhenIdle(),
      (error) => this.passages.end(error),
    );
  }

  /** Waits for every session; closes passages that nobody read. */
  async finished(): Promise<void> {
    await this.#listening;
    await Promise.allSettled([...this.#sessions]);
    for (const passage of this.passages.drain()) await passage.close();
  }

  async #connect(): Promise<boolean> {
    const { rendezvous, log } = this.#context;
    for (let attempt = 0; !this.#listenSignal.aborted; attempt++) {
      try {
        await rendezvous.prepare(this.#listenSignal);
        return true;
      } catch (error) {
        if (this.#listenSignal.aborted) return false;
        if (!isAwlError(error, 'RENDEZVOUS_UNREACHABLE')) throw error;
        const wait = backoffMs(attempt);
        log.warning(`${error.message}; next try in ${Math.round(wait / 1000)} s`);
        await sleep(wait, this.#listenSignal).catch(() => {});
      }
    }
    return false;
  }

  async #listen(): Promise<void> {
    const { settings, rendezvous, log } = this.#context;
    const filter = { app: settings.app, kind: 'invite', to: settings.host, from: settings.peer } as const;
    for await (const envelope of rendezvous.listen(filter, this.#listenSignal)) {
      try {
        await this.#consider(envelope);
      } catch (error) {
        const text = isAwlError(error) ? `${error.code}: ${error.message}` : String(error);
        log.debug(`invitation ${envelope.id} ignored: ${text}`);
      }
    }
  }

  async #endWhenIdle(): Promise<void> {
    await Promise.allSettled([...this.#sessions]);
    this.passages.end();
  }

  /** Verifies, then admits, then starts: nothing happens for a message that the pinned peer did not sign. */
  async #consider(envelope: Envelope): Promise<void> {
    const { settings, seen, now, emit, log } = this.#context;
    const host = await this.#hostFor(envelope.to);
    const peer = await this.#peerFor(envelope.from);
    let opened: Opened;
    try {
      opened = open(envelope, {
        app: settings.app,
        kind: 'invite',
        host,
        peer,
        now: now(),
        ...(settings.allowPlaintext && { allowPlaintext: true }),
      });
      if (!(await seen.admit(opened.digest, now()))) {
        throw new AwlError('MESSAGE_REPLAYED', 'this invitation was seen before');
      }
    } catch (error) {
      if (isAwlError(error, ...OURS)) await envelope.ack();
      throw error;
    }
    void envelope.ack();
    const name = formatName(peer.name);
    const admission = this.#limits.admit(partyKey(peer), performance.now());
    if (admission.verdict === 'refuse') {
      log.warning(`invitation of ${name} refused: ${admission.reason}`);
      emit({ event: 'refused', code: 'LIMIT_REACHED', message: admission.reason, peer: name });
      return;
    }
    const session = this.#run(host, peer, opened, admission.verdict === 'queue').finally(() =>
      this.#sessions.delete(session),
    );
    this.#sessions.add(session);
  }

  async #run(host: HostParty, peer: PeerParty, invitation: Opened, queued: boolean): Promise<void> {
    if (queued && !(await this.#wait(peer))) return;
    const key = partyKey(peer);
    this.#limits.started(key);
    let outcome: 'passage' | 'failed' = 'failed';
    try {
      const passage = await answerInvitation({
        context: this.#context,
        host,
        peer,
        invitation,
        nat: this.#nat.current(),
        signal: this.#signal,
      });
      if (passage) {
        outcome = 'passage';
        this.passages.push(passage);
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
    if (this.#signal.aborted) return false;
    const waited = performance.now() - since;
    if (waited < RESPONSE_TIMEOUT_MS) return true;
    const message = `waited ${Math.round(waited / 1000)} s for a free place`;
    this.#context.log.warning(`invitation of ${formatName(peer.name)} refused: ${message}`);
    this.#context.emit({ event: 'refused', code: 'LIMIT_REACHED', message, peer: formatName(peer.name) });
    this.#waiting.shift()?.();
    return false;
  }

  #loading(named: boolean) {
    const { settings, log } = this.#context;
    return { ...(settings.allowPlaintext && { allowPlaintext: true }), named, log };
  }

  async #hostFor(name: IdentityName): Promise<HostParty> {
    const { settings, repository } = this.#context;
    if (this.#pinned.host) return this.#pinned.host;
    if (!matchesName(name, settings.host)) {
      throw new AwlError('MESSAGE_MISDIRECTED', `addressed to ${formatName(name)}`);
    }
    return loadHost(repository, name, this.#loading(false));
  }

  async #peerFor(name: IdentityName): Promise<PeerParty> {
    const { settings, repository } = this.#context;
    if (!matchesName(name, settings.peer)) {
      throw new AwlError('MESSAGE_NOT_PINNED', `${formatName(name)} is not the peer that was named`);
    }
    return this.#pinned.peer ?? loadPeer(repository, name, this.#loading(false));
  }
}
