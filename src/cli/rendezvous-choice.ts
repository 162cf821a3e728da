import { AwlError } from '../errors.js';
import type { RendezvousSettings } from '../rendezvous/registry.js';
import { impliedDhts } from './dht-settings.js';
import type { OptionName } from './options.js';
import { type Assignment, describeSource, type SourceKind } from './source.js';
import type { OptionValues } from './values.js';

export type RendezvousName = RendezvousSettings['name'];

/** Which options mean which rendezvous, where none is typed. */
const MARKS = [
  { of: ['email'], names: ['email-smtps', 'email-imaps', 'email-login'] },
  { of: ['meepo'], names: ['redis-url'] },
  { of: ['file'], names: ['file-dir'] },
  { of: ['hyperdht', 'opendht'], names: ['dht-bootstrap', 'dht-network', 'dht-port'] },
] as const satisfies readonly { of: readonly RendezvousName[]; names: readonly OptionName[] }[];

const PASSWORDS = ['email-password', 'email-password-file', 'email-password-command'] as const;

/** The same order in which values win (docs/CLI.md). */
const RANK: Readonly<Record<SourceKind, number>> = { argv: 2, env: 1, config: 0 };

function rank(written: Assignment): number {
  return RANK[written.source.kind];
}

/** The writing of highest rank among these options; the first of them where several have it. */
function strongest(values: OptionValues, names: readonly OptionName[]): Assignment | undefined {
  const found = names.flatMap((name) =>
    values.text(name) === undefined ? [] : values.written(name).slice(-1),
  );
  return found.sort((a, b) => rank(b) - rank(a))[0];
}

/**
 * Which rendezvous are used: those of `--rendezvous`, else what the options of highest rank belong to, else HyperDHT.
 * What a lower place says of another rendezvous gives way; what the same place says is an error that names both.
 * @throws AwlError USAGE_CONFLICT, USAGE_MISSING
 */
export function chosenRendezvous(values: OptionValues): readonly RendezvousName[] {
  const typed = values.choices('rendezvous') as RendezvousName[];
  const names = typed.length > 0 ? refuseStrays(values, typed) : implied(values);
  // A password may stand in the environment or a file for other calls, but nobody types one for nothing.
  const password = names.includes('email') ? undefined : strongest(values, PASSWORDS);
  if (password?.source.kind !== 'argv') return names;
  const rival = strongest(values, ['rendezvous', ...MARKS.flatMap((mark) => mark.names)]);
  if (rival) throw exclusive(rival, typed, password);
  throw new AwlError(
    'USAGE_MISSING',
    `${describeSource(password.source)} means nothing without --email-smtps`,
    {
      hint: 'both mail servers, login and password belong together',
    },
  );
}

function implied(values: OptionValues): readonly RendezvousName[] {
  const found = MARKS.flatMap(({ of, names }) => {
    const written = strongest(values, names);
    return written ? [{ of, written }] : [];
  }).sort((a, b) => rank(b.written) - rank(a.written));
  const [first, second] = found;
  if (first && second && rank(first.written) === rank(second.written)) {
    throw exclusive(first.written, [], second.written);
  }
  if (first && !first.of.some((name) => name === 'hyperdht')) return first.of;
  return impliedDhts(values);
}

function refuseStrays(values: OptionValues, typed: readonly RendezvousName[]): readonly RendezvousName[] {
  const choice = strongest(values, ['rendezvous']);
  if (!choice) return typed;
  const strays = MARKS.filter(({ of }) => !of.some((name) => typed.includes(name))).flatMap(
    ({ names }) => names,
  );
  const ids = typed.includes('opendht') ? [] : (['dht-network'] as const);
  const stray = strongest(values, [...strays, ...ids]);
  if (stray && rank(stray) >= rank(choice)) throw exclusive(choice, typed, stray);
  return typed;
}

function exclusive(a: Assignment, typed: readonly string[], b: Assignment): AwlError {
  const first = `${describeSource(a.source)}${a.name === 'rendezvous' ? `=${typed.join(',')}` : ''}`;
  return new AwlError('USAGE_CONFLICT', `${first} and ${describeSource(b.source)} exclude each other`, {
    hint: 'leave one of them out, or name every rendezvous that you want: --rendezvous=hyperdht,email',
  });
}
