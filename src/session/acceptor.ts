import { errorText, isAwlError } from '../errors.js';
import { formatName, isComplete } from '../identity/names.js';
import { publicKeyInfo } from '../identity/x509.js';
import type { LetterFilter, Rendezvous } from '../rendezvous/types.js';
import { backoffMs } from '../util/backoff.js';
import { AsyncQueue } from '../util/queue.js';
import { sleep } from '../util/sleep.js';
import { openContext, type SessionContext } from './context.js';
import { InvitationDesk } from './invitations.js';
import { type HostParty, loadHost, loadPeer, type PeerParty, partyOptions } from './parties.js';
import type { Passage } from './passage.js';
import type { AcceptorSettings } from './settings.js';

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
  const listening = AbortSignal.any([signal, stopListening.signal]);
  const passages = new AsyncQueue<Passage>();
  let timer: NodeJS.Timeout | undefined;
  let serving: Promise<void> | undefined;
  try {
    const pinned = await loadNamed(context);
    const desk = new InvitationDesk({
      context,
      pinned,
      signal,
      onPassage: (passage) => passages.push(passage),
    });
    if (settings.acceptTimeoutMs !== undefined) {
      timer = setTimeout(() => stopListening.abort(), settings.acceptTimeoutMs);
    }
    serving = serveAll(context, desk, filterFor(context, pinned), listening).then(
      async () => {
        await desk.idle();
        passages.end();
      },
      (error) => passages.end(error),
    );
    yield* passages;
  } finally {
    clearTimeout(timer);
    stop.abort();
    await serving;
    for (const passage of passages.drain()) await passage.close();
    await context.close();
  }
}

/** Checks the identities that the command line names, before anything is sent. */
async function loadNamed(context: SessionContext): Promise<{ host?: HostParty; peer?: PeerParty }> {
  const { settings, repository } = context;
  const loading = partyOptions(context, true);
  return {
    ...(isComplete(settings.host) && { host: await loadHost(repository, settings.host, loading) }),
    ...(isComplete(settings.peer) && { peer: await loadPeer(repository, settings.peer, loading) }),
  };
}

function filterFor(
  { settings }: SessionContext,
  pinned: { host?: HostParty; peer?: PeerParty },
): LetterFilter {
  return {
    app: settings.app,
    kind: 'invite',
    to: settings.host,
    from: settings.peer,
    ...(pinned.host?.cert && { toKey: publicKeyInfo(pinned.host.cert) }),
    ...(pinned.peer?.cert && { fromKey: publicKeyInfo(pinned.peer.cert) }),
  };
}

/** All links side by side; ends when listening does, fails when no link can work at all. */
async function serveAll(
  context: SessionContext,
  desk: InvitationDesk,
  filter: LetterFilter,
  signal: AbortSignal,
): Promise<void> {
  const { links, log } = context;
  const failures: unknown[] = [];
  await Promise.all(
    links.map(async (link) => {
      try {
        await serve(context, link, desk, filter, signal);
      } catch (error) {
        failures.push(error);
        if (links.length > 1) log.error(`going on without ${link.name}: ${errorText(error)}`);
      }
    }),
  );
  if (failures.length === links.length) throw failures[0];
}

async function serve(
  context: SessionContext,
  link: Rendezvous,
  desk: InvitationDesk,
  filter: LetterFilter,
  signal: AbortSignal,
): Promise<void> {
  const { settings, log, emit } = context;
  if (!(await connect(context, link, signal))) return;
  const host = formatName(settings.host);
  log.info(`accepting ${settings.app} for ${host} over ${link.name}`);
  emit({ event: 'listening', rendezvous: link.name, app: settings.app, host });
  for await (const envelope of link.listen(filter, signal)) {
    try {
      await desk.consider({ link, envelope });
    } catch (error) {
      const text = isAwlError(error) ? `${error.code}: ${error.message}` : String(error);
      log.debug(`invitation ${envelope.id} ignored: ${text}`);
    }
  }
}

/** Tries until the link is there; false if the signal aborts before. */
async function connect(
  { links, log }: SessionContext,
  link: Rendezvous,
  signal: AbortSignal,
): Promise<boolean> {
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      await link.prepare(signal);
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      if (!isAwlError(error, 'RENDEZVOUS_UNREACHABLE')) throw error;
      const wait = backoffMs(attempt);
      const line = `${error.message}; next try in ${Math.ceil(wait / 1000)} s`;
      // Beside another one that works, a rendezvous may stay away for good.
      if (attempt === 0 || links.length === 1) log.warning(line);
      else log.debug(line);
      await sleep(wait, signal).catch(() => {});
    }
  }
  return false;
}
