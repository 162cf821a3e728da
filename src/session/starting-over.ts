import { AwlError, errorText, isAwlError } from '../errors.js';
import { formatName } from '../identity/names.js';
import { type Logger, silentLogger } from '../log.js';
import { Entrance } from '../tunnel/entrance.js';
import { backoffMs } from '../util/backoff.js';
import { deadline, sleep } from '../util/sleep.js';
import { TUNNEL_RECONNECT_MS } from '../wire/tunnel-limits.js';
import type { Passage } from './passage.js';
import { PAUSE } from './reconnecting.js';
import type { SessionSettings } from './settings.js';
import { type Returning, runTunnel, type TunnelSettings } from './tunnel.js';

/** A tunnel that lived for less was not worth much: the next one begins later. */
const SHORT_LIFE_MS = 60_000;

/**
 * Runs an inviter's tunnel, and the next one with the same exports and imports where the peer was started anew and
 * knows nothing of it any more. What was connected is reset by then; only the one connection of `stdio` cannot begin again.
 * @returns 0
 * @throws AwlError as `runTunnel`; TUNNEL_LOST if there is no next one in time
 */
export async function runTunnels(
  passage: Passage,
  wanted: TunnelSettings,
  settings: SessionSettings,
  returning: Returning,
): Promise<number> {
  const { invite } = returning;
  const log = settings.log ?? silentLogger;
  const ms = wanted.reconnectMs ?? TUNNEL_RECONNECT_MS;
  // One for all tunnels: what connects between two of them waits.
  const entrance = new Entrance();
  let short = 0;
  try {
    for (let current = passage; ; ) {
      const begun = performance.now();
      try {
        return await runTunnel(current, wanted, settings, entrance, returning);
      } catch (error) {
        if (!invite || wanted.stdio || ms === 0 || !isAwlError(error, 'TUNNEL_FORGOTTEN')) throw error;
        log.warning(
          `${formatName(current.peer)} does not know the tunnel (it was started anew, gave up, or never heard the first words): ` +
            'another one begins, connections that were open are reset',
        );
      } finally {
        settings.board?.forget(current.session);
      }
      short = performance.now() - begun < SHORT_LIFE_MS ? short + 1 : 0;
      current = await another(invite, {
        ...{ ms, short, log },
        ...(settings.signal && { signal: settings.signal }),
      });
    }
  } finally {
    await entrance.close();
  }
}

interface Again {
  readonly ms: number;
  /** How many tunnels in a row ended soon. */
  readonly short: number;
  readonly log: Logger;
  readonly signal?: AbortSignal;
}

async function another(
  invite: (signal: AbortSignal) => Promise<Passage>,
  { ms, short, log, signal }: Again,
): Promise<Passage> {
  const late = () =>
    new AwlError('TUNNEL_LOST', `there was no new tunnel within ${Math.round(ms / 1000)} s`, {
      hint: 'the peer was started anew meanwhile; is it still there?',
    });
  const limit = deadline(ms, late, signal);
  try {
    for (let attempt = short; ; attempt++) {
      try {
        await sleep(attempt <= 1 ? 50 : backoffMs(attempt - 2, PAUSE), limit.signal);
        return await invite(limit.signal);
      } catch (error) {
        limit.signal.throwIfAborted();
        const code = isAwlError(error) ? `${error.code}: ` : '';
        log.info(`no new tunnel yet: ${code}${errorText(error)}`);
      }
    }
  } finally {
    limit.dispose();
  }
}
