import { errorText, isAwlError } from '../errors.js';
import type { Logger } from '../log.js';
import type { Greeted } from '../tunnel/greeting.js';
import type { Tunnel } from '../tunnel/tunnel.js';
import { backoffMs } from '../util/backoff.js';
import { sleep } from '../util/sleep.js';
import type { TunnelHello } from '../wire/tunnel-hello.js';
import { greetOver, RELAYED } from './carrying.js';
import type { Passage } from './passage.js';

/** Between attempts to punch again; an invitation may itself take a minute to fail. */
export const PAUSE = { baseMs: 500, maxMs: 15_000 };

/** A NAT pair seldom changes, and each attempt is a session for the peer: ever more seldom. */
const SEEK_PAUSE = { baseMs: 30_000, maxMs: 30 * 60_000 };

/** What a forged packet can do to the first words on a path. */
const BROKEN: readonly string[] = ['TUNNEL_LOST', 'MESSAGE_MALFORMED'];
/** How long a first path is asked for anew, and the pauses between. */
const GREETING = { ms: 30_000, pause: { baseMs: 250, maxMs: 2_000 } };

export interface Reconnecting {
  readonly hello: TunnelHello;
  /** Invites the peer again and punches. */
  readonly invite: (signal: AbortSignal) => Promise<Passage>;
  /** The tunnel goes on over this one. */
  readonly onPassage?: (passage: Passage) => void;
  readonly log: Logger;
}

/** How a tunnel gets its first path. */
export interface Beginning {
  /** Invites the peer again; an acceptor cannot, and is invited again. */
  readonly invite?: (signal: AbortSignal) => Promise<Passage>;
  /** A path that broke before the hellos were exchanged. */
  readonly onBroken: (passage: Passage) => void;
  readonly signal?: AbortSignal;
  readonly log: Logger;
}

/**
 * Exchanges the hellos of a tunnel that begins. Until then one forged packet breaks a UDP path, and there is no tunnel
 * yet that could outlive it: the inviter asks for another path, for half a minute.
 * @param patience how long, and the pauses; tests shorten them
 * @throws AwlError as `greetOver` and `invite`
 */
export async function greetFirst(
  passage: Passage,
  hello: TunnelHello,
  { invite, onBroken, signal = new AbortController().signal, log }: Beginning,
  patience = GREETING,
): Promise<{ readonly passage: Passage; readonly greeted: Greeted }> {
  const until = performance.now() + patience.ms;
  for (let attempt = 0; ; attempt++) {
    try {
      return { passage, greeted: await greetOver(passage, hello, signal) };
    } catch (error) {
      const broken = isAwlError(error) && BROKEN.includes(error.code);
      if (!broken || !invite || performance.now() >= until) throw error;
      onBroken(passage);
      log.warning(`the path broke before the tunnel began, another one is tried: ${error.message}`);
      await sleep(backoffMs(attempt, patience.pause), signal);
      passage = await invite(signal);
    }
  }
}

/**
 * Brings a new passage to a tunnel that lost its own, as often as it takes until the tunnel goes on or gives up.
 * Never rejects: why an attempt failed is a line in the log, and why the tunnel ended is the tunnel's to say.
 */
export async function bringBack(
  tunnel: Tunnel,
  { hello, invite, onPassage, log }: Reconnecting,
): Promise<void> {
  const over = new AbortController();
  const stop = () => over.abort();
  void tunnel.closed.then(stop, stop);
  for (let attempt = 0; tunnel.stats.state === 'reconnecting'; attempt++) {
    try {
      // The old socket is closed by then: its port may be the one that is typed.
      await sleep(attempt === 0 ? 50 : backoffMs(attempt - 1, PAUSE), over.signal);
      const passage = await invite(over.signal);
      await tunnel.attach(await greetOver(passage, { ...hello, resume: tunnel.token }, over.signal));
      onPassage?.(passage);
    } catch (error) {
      if (over.signal.aborted) return;
      const code = isAwlError(error) ? `${error.code}: ` : '';
      log.info(`no new path yet: ${code}${errorText(error)}`);
    }
  }
}

/**
 * Looks for a direct path while the tunnel runs through a relay, and moves the tunnel there when it finds one; until the
 * tunnel ends. Never rejects.
 * @param pause between attempts; tests shorten it
 */
export async function seekDirect(
  tunnel: Tunnel,
  { hello, invite, onPassage, log }: Reconnecting,
  pause = SEEK_PAUSE,
): Promise<void> {
  const over = new AbortController();
  const stop = () => over.abort();
  void tunnel.closed.then(stop, stop);
  for (let attempt = 0; !over.signal.aborted; ) {
    try {
      await sleep(backoffMs(attempt, pause), over.signal);
      const relayed = () => tunnel.stats.state === 'open' && tunnel.carrier?.kind === RELAYED;
      if (!relayed()) {
        attempt = 0;
        continue;
      }
      attempt += 1;
      log.debug('looking for a direct path');
      const passage = await invite(over.signal);
      const greeted = await greetOver(passage, { ...hello, resume: tunnel.token }, over.signal);
      await tunnel.attach(greeted);
      onPassage?.(passage);
    } catch (error) {
      if (over.signal.aborted) return;
      const code = isAwlError(error) ? `${error.code}: ` : '';
      log.debug(`still no direct path: ${code}${errorText(error)}`);
    }
  }
}
