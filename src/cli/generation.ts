import { AwlError } from '../errors.js';
import { type PartialName, parsePartialName } from '../identity/names.js';
import { badValue, describeSource } from './source.js';
import type { OptionValues } from './values.js';

/** Which documentation a command line follows; it decides the defaults that differ. */
export type Generation = 'first' | '3.1' | '3.4';

/** Names that only the first generation knows. A `--host-id` that is a pin alone is its mark, too. */
const FIRST_NAMES = [
  'email-passwd',
  'email-from',
  'email-to',
  'email-subj-from',
  'email-subj-to',
  'stun-ip',
  'stun-port',
  'bind-ip',
  'bind-port',
  'exec-log-file',
  'strategy',
  'tcp-trace',
];

/** What 3.1 calls differently from 3.4, and the other way round. `stun-server` is awl's own name, too. */
const NAMES_31 = ['app-id', 'host-info', 'peer-info', 'stun-client', 'stun-server', 'exec-command'];
const NAMES_34 = [
  'app-name',
  'host-id',
  'peer-id',
  'udp-bind',
  'udp-stun',
  'nat-hops',
  'exec-cmd',
  'app-qos',
];

const ARGS_31 = '%innerip% %innerport% %outerip% %outerport% %peerip% %peerport%';
const DEFAULT_ARGS: Readonly<Record<Generation, string>> = {
  first: `${ARGS_31} %secret%`,
  '3.1': ARGS_31,
  '3.4': '%inner% %outer% %alien% %qos%',
};

/**
 * Tells the plexus generations apart by the names used. In a mixture the first generation wins over 3.1, and 3.1
 * over 3.4, since the later names are also taken where the earlier meaning is asked for.
 */
export function generationOf(values: OptionValues): Generation {
  const names = values.writtenNames();
  const barePin = (['host-info', 'peer-info'] as const).some((name) =>
    values
      .written(name)
      .some(({ value, source }) => source.as !== name && !value.includes('/') && value !== ''),
  );
  if (barePin || FIRST_NAMES.some((name) => names.has(name))) return 'first';
  const is34 = NAMES_34.some((name) => names.has(name)) && !NAMES_31.some((name) => names.has(name));
  return is34 ? '3.4' : '3.1';
}

/** `--exec-args` as typed, else the generation's own; an empty one means no arguments, except in the first. */
export function execArgs(values: OptionValues): string {
  const generation = generationOf(values);
  const typed = values.written('exec-args').at(-1)?.value;
  if (typed === undefined || (typed.trim() === '' && generation === 'first')) return DEFAULT_ARGS[generation];
  return typed;
}

/** The first generation had no application name: all its calls meant the same one. */
export function appName(values: OptionValues): string | undefined {
  return values.text('app-id') ?? (generationOf(values) === 'first' ? 'plexus' : undefined);
}

/**
 * `--host-info` or `--peer-info`; a pin alone (first generation, `--host-id=laptop`) gets its owner from
 * `--email-from` or `--email-to`, or else from `--email-login`.
 * @throws AwlError USAGE_BAD_VALUE, USAGE_CONFLICT, USAGE_MISSING, IDENTITY_NAME
 */
export function identityOf(
  values: OptionValues,
  name: 'host-info' | 'peer-info',
  ownerOption: 'email-from' | 'email-to',
): PartialName {
  const text = values.text(name) ?? '/';
  const mail = values.text(ownerOption);
  const written = values.written(name).at(-1);
  if (text.includes('/')) {
    const identity = parsePartialName(text);
    if (mail !== undefined && identity.owner !== undefined && identity.owner !== mail) {
      const where = written ? describeSource(written.source) : `--${name}`;
      throw new AwlError('USAGE_CONFLICT', `${where} and --${ownerOption} name different owners`, {
        hint: `leave --${ownerOption} out; the owner is the part before the slash`,
      });
    }
    return mail === undefined ? identity : { ...identity, owner: mail };
  }
  if (!written || written.source.as === name) {
    throw badValue(
      written?.source ?? { kind: 'argv', as: name },
      `is "${text}", which has no owner`,
      `write it as owner/pin, for example --${name}=me@example.org/${text}`,
    );
  }
  const owner = mail ?? values.text('email-login');
  if (owner === undefined) {
    throw new AwlError('USAGE_MISSING', `${describeSource(written.source)} is a pin without its owner`, {
      hint: `write it as owner/pin, or add --${ownerOption}`,
    });
  }
  return parsePartialName(`${owner}/${text}`);
}
