import type { TunnelStats } from '../tunnel/stats.js';
import type { NatReport } from '../wire/nat-report.js';
import type { AwlEvent } from './events.js';
import type { ProcessStatus, SessionState, SessionStatus, TunnelStatus } from './status.js';

export interface BoardOptions {
  readonly mode: ProcessStatus['mode'];
  readonly app: string;
  readonly host: string;
  readonly peer?: string;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

interface Sample {
  readonly at: number;
  readonly sent: number;
  readonly received: number;
}

interface Entry {
  readonly session: string;
  readonly peer: string;
  readonly begun: number;
  state: SessionState;
  wonAt?: number;
  about: Pick<
    SessionStatus,
    'host' | 'inner' | 'outer' | 'alien' | 'how' | 'transport' | 'route' | 'confirmed' | 'setupMs' | 'pid'
  >;
  ends: Pick<TunnelStatus, 'imports' | 'offered'>;
  read?: () => TunnelStats;
  samples: Sample[];
}

/** Sessions that are remembered at once; an acceptor runs fewer, so more is a leak of ours. */
const SESSIONS_MAX = 1_024;
/** Rates are those of the last so many samples, one a second. */
const SAMPLES = 4;
const TEXT_CHARS = 300;
const BEGINNING: readonly SessionState[] = ['inviting', 'answering', 'passage'];
const NOTHING = { imports: [], offered: [] };

/**
 * What one process does at this moment, put together from its events and from its tunnels' counters. Takes no time
 * and sends nothing; who shows it asks for a {@link snapshot}.
 */
export class StatusBoard {
  readonly #options: BoardOptions;
  readonly #now: () => number;
  readonly #begun: number;
  readonly #entries = new Map<string, Entry>();
  readonly #listening = new Set<string>();
  #passages = 0;
  #failures = 0;
  #refusals = 0;
  #lastFailure: { readonly code: string; readonly message: string; readonly at: number } | undefined;
  #nat: NatReport | undefined;

  constructor(options: BoardOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#begun = this.#now();
  }

  /** Takes note of what happened. */
  readonly take = (event: AwlEvent): void => {
    switch (event.event) {
      case 'listening':
        this.#listening.add(event.rendezvous);
        break;
      case 'nat':
        this.#nat = event.report;
        break;
      case 'invited':
      case 'answered':
        this.#begin(event.session, event.peer, event.event === 'invited' ? 'inviting' : 'answering');
        break;
      case 'passage':
        this.#won(event);
        break;
      case 'payload-started':
        this.#change(event.session, 'payload', { pid: event.pid });
        break;
      case 'tunnel-open':
        this.#change(event.session, 'tunnel', {}, { imports: event.imports, offered: event.offered });
        break;
      case 'moved':
        this.#moved(event.session, event.alien, ({ about }) => about.alien === event.alien);
        break;
      case 'reconnected':
        this.#moved(event.session, event.alien);
        break;
      case 'payload-ended':
      case 'tunnel-closed':
        this.#entries.delete(event.session);
        break;
      case 'refused':
        this.#refusals += 1;
        break;
      case 'failed':
        this.#failures += 1;
        this.#lastFailure = { code: event.code, message: event.message, at: this.#now() };
        if (event.session !== undefined) this.#entries.delete(event.session);
        break;
      default:
        break;
    }
  };

  /** Lets a session's tunnel be asked for its counters; the returned function ends that, and the session. */
  watch(session: string, read: () => TunnelStats): () => void {
    const entry = this.#entries.get(session);
    if (entry) entry.read = read;
    return () => this.forget(session);
  }

  /** The session is over, or was only another path of one that goes on. */
  forget(session: string): void {
    this.#entries.delete(session);
  }

  /** Once a second, by whoever has a timer: rates come of it. */
  sample(): void {
    for (const entry of this.#entries.values()) {
      const stats = entry.read?.();
      if (!stats) continue;
      entry.samples.push({ at: this.#now(), sent: stats.sent, received: stats.received });
      if (entry.samples.length > SAMPLES) entry.samples.shift();
    }
  }

  snapshot(): ProcessStatus {
    const now = this.#now();
    const { mode, app, host, peer = '' } = this.#options;
    const last = this.#lastFailure;
    return {
      pid: process.pid,
      mode,
      app,
      host,
      peer,
      upMs: Math.round(now - this.#begun),
      listening: [...this.#listening],
      passages: this.#passages,
      failures: this.#failures,
      refusals: this.#refusals,
      ...(last && {
        lastFailure: {
          code: last.code,
          message: last.message.slice(0, TEXT_CHARS),
          agoMs: Math.round(now - last.at),
        },
      }),
      ...(this.#nat && { nat: this.#nat }),
      sessions: [...this.#entries.values()].map((entry) => statusOf(entry, now)),
    };
  }

  #begin(session: string, peer: string, state: SessionState): Entry {
    const known = this.#entries.get(session);
    if (known) return known;
    // An inviter asks one peer after the other: what it tried before is over, whether or not it said so.
    if (this.#options.mode === 'invite') this.#drop((entry) => BEGINNING.includes(entry.state));
    if (this.#entries.size >= SESSIONS_MAX) this.#entries.delete(this.#entries.keys().next().value ?? '');
    const begun = this.#now();
    const entry: Entry = { session, peer, begun, state, about: {}, ends: NOTHING, samples: [] };
    this.#entries.set(session, entry);
    return entry;
  }

  #won(event: Extract<AwlEvent, { event: 'passage' }>): void {
    const entry = this.#begin(event.session, event.peer, 'passage');
    const { host, inner, outer, alien, how, confirmed, ms: setupMs } = event;
    this.#passages += 1;
    entry.state = 'passage';
    entry.wonAt = this.#now();
    entry.about = { host, inner, outer, alien, how, confirmed, setupMs, ...wordsOf(event) };
  }

  /** A tunnel goes on over a path that another session of the same peer has just won; TCP has no session of its own. */
  #moved(session: string, alien: string | undefined, same = (_one: Entry) => true): void {
    const entry = this.#entries.get(session);
    if (!entry) return;
    const fits = (one: Entry) => one.state === 'passage' && one.peer === entry.peer && same(one);
    const other = [...this.#entries.values()].findLast(fits);
    if (other) this.#entries.delete(other.session);
    entry.about = { ...entry.about, ...other?.about, ...(alien !== undefined && { alien }) };
    entry.samples = [];
  }

  #change(session: string, state: SessionState, about: Entry['about'], ends?: Entry['ends']): void {
    const entry = this.#entries.get(session);
    if (!entry) return;
    entry.state = state;
    entry.about = { ...entry.about, ...about };
    if (ends) entry.ends = ends;
  }

  #drop(which: (entry: Entry) => boolean): void {
    for (const entry of this.#entries.values()) if (which(entry)) this.#entries.delete(entry.session);
  }
}

/** Words that only some passages have. */
function wordsOf(event: object): Pick<SessionStatus, 'transport' | 'route'> {
  const { transport, route } = event as Readonly<Record<string, unknown>>;
  return {
    ...(typeof transport === 'string' && { transport }),
    ...(typeof route === 'string' && { route }),
  };
}

function statusOf(entry: Entry, now: number): SessionStatus {
  const { session, state, peer, begun, wonAt, about } = entry;
  const stats = entry.read?.();
  const away = stats?.state === 'reconnecting';
  return {
    session,
    state: away ? 'reconnecting' : state,
    peer,
    ageMs: Math.round(now - begun),
    ...(wonAt !== undefined && { upMs: Math.round(now - wonAt) }),
    ...about,
    ...(stats?.path !== undefined && { transport: stats.path }),
    ...(stats && { tunnel: tunnelOf(entry, stats) }),
  };
}

function tunnelOf({ samples, ends }: Entry, stats: TunnelStats): TunnelStatus {
  const [first, last] = [samples[0], samples.at(-1)];
  const seconds = first && last ? (last.at - first.at) / 1000 : 0;
  const rate = (of: 'sent' | 'received') =>
    first && last && seconds > 0 ? Math.max(0, Math.round((last[of] - first[of]) / seconds)) : 0;
  const { packets, repeated } = stats;
  return {
    ...stats,
    ...ends,
    sendRate: rate('sent'),
    receiveRate: rate('received'),
    ...(packets !== undefined &&
      repeated !== undefined &&
      packets > 0 && { loss: Math.min(1, repeated / packets) }),
  };
}
