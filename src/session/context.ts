import { join } from 'node:path';
import { AwlError } from '../errors.js';
import { formatName, type IdentityName, isComplete, type PartialName } from '../identity/names.js';
import { AppRepository } from '../identity/repository.js';
import { type Logger, silentLogger } from '../log.js';
import type { RendezvousSettings } from '../rendezvous/registry.js';
import { ReplayGuard } from '../rendezvous/replay-guard.js';
import type { Rendezvous } from '../rendezvous/types.js';
import type { EventSink } from './events.js';
import { LinkPool } from './link-pool.js';
import { Attempts } from './links.js';
import { RouterWatch } from './routers.js';
import type { SessionSettings } from './settings.js';
import { ensureStateDirectory, stateDirectory } from './state-dir.js';

/** What every session of one process shares. */
export interface SessionContext {
  readonly settings: SessionSettings;
  readonly log: Logger;
  readonly emit: EventSink;
  readonly repository: AppRepository;
  /** One or more, side by side. */
  readonly links: readonly Rendezvous[];
  readonly seen: ReplayGuard;
  /** Absent where no port is to be mapped. */
  readonly routers?: RouterWatch;
  readonly now: () => Date;
  close(): Promise<void>;
}

/** Opens repository, seen-set and rendezvous; nothing is sent yet. The caller closes it. */
export async function openContext(settings: SessionSettings): Promise<SessionContext> {
  const log = settings.log ?? silentLogger;
  const now = () => new Date();
  const stateDir = ensureStateDirectory(stateDirectory(settings.stateDir));
  const seen = await ReplayGuard.open(join(stateDir, 'seen.jsonl'), now());
  try {
    if (seen.problem) log.warning(`${seen.problem}; replays are only noticed while this process runs`);
    const chosen = [settings.rendezvous].flat();
    const links = await openAll(chosen, settings.pool ?? new LinkPool(), log, now);
    const routers = settings.portMapping && !settings.allowLoopback ? new RouterWatch(log) : undefined;
    return {
      settings,
      log,
      emit: settings.onEvent ?? (() => {}),
      repository: new AppRepository(settings.repo),
      links,
      seen,
      ...(routers && { routers }),
      now,
      async close() {
        routers?.close();
        await Promise.all(links.map((link) => link.close()));
        await seen.close();
      },
    };
  } catch (error) {
    await seen.close();
    throw error;
  }
}

/** One that cannot even be opened (its library does not run here, say) does not keep the others from working. */
async function openAll(
  chosen: readonly RendezvousSettings[],
  pool: LinkPool,
  log: Logger,
  now: () => Date,
): Promise<Rendezvous[]> {
  const attempts = new Attempts(chosen.length, log);
  const results = await Promise.allSettled(chosen.map((one) => pool.open(one, { log, now })));
  return results.flatMap((result, index) => {
    if (result.status === 'fulfilled') return [result.value];
    attempts.failed(chosen[index]?.name ?? '', result.reason);
    return [];
  });
}

/** A complete name, or an error that says which flag lacks what. */
export function requireName(name: PartialName, flag: string): IdentityName {
  if (isComplete(name)) return name;
  throw new AwlError('USAGE_MISSING', `${flag} needs owner and pin, but is "${formatName(name)}"`, {
    hint: `write ${flag}=owner/pin, for example ${flag}=me@example.org/laptop`,
  });
}
