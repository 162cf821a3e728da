import type { EmailSettings } from './email/settings.js';
import type { HyperdhtSettings } from './hyperdht/settings.js';
import type { MeepoSettings } from './meepo/settings.js';
import type { OpendhtSettings } from './opendht/settings.js';
import type { Rendezvous, RendezvousContext } from './types.js';

/** Which rendezvous, with what it needs. */
export type RendezvousSettings =
  | { readonly name: 'email'; readonly email: EmailSettings }
  | { readonly name: 'hyperdht'; readonly hyperdht: HyperdhtSettings }
  | { readonly name: 'opendht'; readonly opendht: OpendhtSettings }
  | { readonly name: 'meepo'; readonly meepo: MeepoSettings }
  | { readonly name: 'file'; readonly folder: string };

type Opener<N extends RendezvousSettings['name']> = (
  settings: Extract<RendezvousSettings, { name: N }>,
  ctx: RendezvousContext,
) => Promise<Rendezvous>;

// Imported only when asked for: the mail libraries alone would double the time that `awl --help` takes.
const BACKENDS: { readonly [N in RendezvousSettings['name']]: Opener<N> } = {
  email: async (settings, ctx) => (await import('./email/backend.js')).openEmail(settings.email, ctx),
  hyperdht: async (settings, ctx) =>
    (await import('./hyperdht/backend.js')).openHyperdht(settings.hyperdht, ctx),
  opendht: async (settings, ctx) => (await import('./opendht/backend.js')).openOpendht(settings.opendht, ctx),
  meepo: async (settings, ctx) => (await import('./meepo/backend.js')).openMeepo(settings.meepo, ctx),
  file: async (settings, ctx) => (await import('./file.js')).openFile(settings.folder, ctx),
};

/** What `--rendezvous` accepts. */
export const RENDEZVOUS_NAMES = Object.keys(BACKENDS) as readonly RendezvousSettings['name'][];

/** Opens the chosen backend; nothing is connected before `prepare`, `listen` or `push`. */
export function openRendezvous(settings: RendezvousSettings, ctx: RendezvousContext): Promise<Rendezvous> {
  // The table guarantees that an opener and its settings carry the same name.
  const open = BACKENDS[settings.name] as Opener<RendezvousSettings['name']>;
  return open(settings, ctx);
}
