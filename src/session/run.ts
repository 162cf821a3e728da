import { AwlError, ERROR_CODES } from '../errors.js';
import { formatName } from '../identity/names.js';
import { silentLogger } from '../log.js';
import { accept } from './acceptor.js';
import { reportFailure } from './failing.js';
import { invite } from './initiator.js';
import { LivingTunnels } from './living.js';
import { takeLock } from './lock.js';
import type { Passage } from './passage.js';
import { exitStatus, runPayload } from './payload.js';
import { ownRoute } from './route.js';
import type { AcceptorSettings, SessionSettings } from './settings.js';
import { runTunnels } from './starting-over.js';
import { ensureStateDirectory, stateDirectory, stateKey } from './state-dir.js';
import { runTubus } from './tubus.js';
import type { Returning } from './tunnel.js';

/**
 * The one-shot initiator: invites, punches, runs the payload.
 * @returns the payload's exit status, 0 once it runs where `--exec-detach` was given
 * @throws AwlError with the diagnosis
 */
export async function runInitiator(settings: SessionSettings): Promise<number> {
  requireUse(settings);
  const again = (signal: AbortSignal) => invite({ ...settings, signal });
  // The typed port is the tunnel's meanwhile.
  const straight = { ...settings, route: 'direct', bind: { ...settings.bind, port: 0 } } as const;
  const direct = (signal: AbortSignal) => invite({ ...straight, signal });
  const seeks = ownRoute(settings) === 'either' && settings.tunnel?.reconnectMs !== 0;
  const beside = await settings.beside?.();
  try {
    return await use(await invite(settings), settings, { invite: again, ...(seeks && { direct }) });
  } finally {
    await beside?.close();
  }
}

/**
 * The accept loop: every passage gets a payload of its own while the loop goes on. A second acceptor for the same
 * app and host ends at once with status 0, so that cron may start one every minute.
 * @returns 0 after a clean stop; with `once` the payload's exit status, or PEER_NO_ANSWER's if nobody came
 * @throws AwlError if accepting cannot begin at all
 */
export async function runAcceptor(settings: AcceptorSettings): Promise<number> {
  requireUse(settings);
  const log = settings.log ?? silentLogger;
  const name = `${settings.app} ${formatName(settings.host)}`;
  const folder = ensureStateDirectory(stateDirectory(settings.stateDir));
  const lock = await takeLock(folder, `accept-${stateKey(settings.app, formatName(settings.host))}`);
  if (!lock) {
    log.info(`another acceptor for ${name} is running already; nothing to do`);
    return 0;
  }
  const payloads = new Set<Promise<number>>();
  const living = new LivingTunnels();
  const served = new AbortController();
  // The peer of the one session may come back; until that ends, somebody has to be there.
  const stays = settings.tunnel && settings.tunnel.reconnectMs !== 0;
  const signal = settings.signal ? AbortSignal.any([settings.signal, served.signal]) : served.signal;
  let first: Promise<number> | undefined;
  let beside: Awaited<ReturnType<NonNullable<AcceptorSettings['beside']>>> | undefined;
  try {
    beside = await settings.beside?.();
    for await (const passage of accept({ ...settings, signal })) {
      const only = settings.once === true && first !== undefined;
      const payload = payloadOf(passage, settings, { living, only });
      first ??= payload;
      payloads.add(payload);
      void payload.finally(() => payloads.delete(payload));
      if (settings.once && !stays) break;
      if (settings.once) void first.finally(() => served.abort());
    }
  } finally {
    lock.release();
    await Promise.allSettled([...payloads]);
    await beside?.close();
  }
  if (!settings.once) return 0;
  if (first) return first;
  return settings.signal?.aborted ? 0 : ERROR_CODES.PEER_NO_ANSWER;
}

/** One payload of the accept loop; its failure is a line in the log, never the end of the loop. */
async function payloadOf(passage: Passage, settings: SessionSettings, returning: Returning): Promise<number> {
  try {
    return await use(passage, settings, returning);
  } catch (error) {
    const log = (settings.log ?? silentLogger).child(passage.session);
    const { session } = passage;
    return reportFailure(error, { session, peer: formatName(passage.peer), log, emit: settings.onEvent })
      .exitCode;
  }
}

/** Hands the passage to the program or to the built-in tunnel; yields the exit status. */
async function use(passage: Passage, settings: SessionSettings, returning: Returning): Promise<number> {
  const { exec, tunnel, board } = settings;
  try {
    if (tunnel?.tubus) return await runTubus(passage, tunnel.tubus, settings);
    if (tunnel) return await runTunnels(passage, tunnel, settings, returning);
    if (!exec) return 0;
    return exitStatus(await runPayload(passage, exec, settings));
  } finally {
    board?.forget(passage.session);
    // A program that outlives us keeps what the router forwards until the lease is over.
    if (exec && !exec.detach) await passage.close();
  }
}

function requireUse({ exec, tunnel }: SessionSettings): void {
  if (exec || tunnel) return;
  throw new AwlError('USAGE_MISSING', 'there is nothing to run on the passage', {
    hint: 'name a program with --exec-command, or use the built-in tunnel: --export, --import, --stdio',
  });
}
