import { AwlError } from '../errors.js';
import { checkValue, readFlag } from './convert.js';
import {
  belongsTo,
  envName,
  findOption,
  OPTIONS,
  type Option,
  type OptionName,
  optionNamed,
} from './options.js';
import { type Assignment, badValue, describeSource } from './source.js';
import { OptionValues } from './values.js';

/** What the environment says: `AWL_<NAME>` first, then plexus' own variables, converted to our units. */
export function fromEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  command: string,
): Assignment[] {
  const found: Assignment[] = [];
  for (const option of OPTIONS) {
    if (option.commandLineOnly || option.hidden || !belongsTo(option, command)) continue;
    const own = env[envName(option)];
    if (own !== undefined) {
      found.push({ name: option.name, value: own, source: { kind: 'env', as: envName(option) } });
      continue;
    }
    for (const { name, scale } of option.legacyEnv ?? []) {
      const text = env[name];
      if (text === undefined) continue;
      const source = { kind: 'env', as: name } as const;
      if (scale !== undefined && !/^\d{1,12}$/.test(text)) {
        throw badValue(source, `is "${text}"`, 'write a whole number of milliseconds');
      }
      found.push({
        name: option.name,
        value: scale === undefined ? text : String(Number(text) / scale),
        source,
      });
      break;
    }
  }
  return found;
}

/** A flag that is off and an optional value that is empty count as not given. */
function isGiven(option: Option, value: string): boolean {
  return option.type === 'flag' ? readFlag(value) === true : value !== '' || option.name === 'exec-args';
}

function group(level: readonly Assignment[]): Map<Option, Assignment[]> {
  const groups = new Map<Option, Assignment[]>();
  for (const assignment of level) {
    const option = findOption(assignment.name);
    if (!option) continue;
    checkValue(option, assignment.value, assignment.source);
    const before = groups.get(option);
    const first = before?.[0];
    if (first && !option.repeatable) {
      const [a, b] = [describeSource(first.source), describeSource(assignment.source)];
      throw badValue(
        assignment.source,
        a === b ? 'is given twice' : `says the same thing as ${a}`,
        `give it once, as ${option.type === 'secret' ? 'a file' : `--${option.name}`}`,
      );
    }
    groups.set(option, [...(before ?? []), assignment]);
  }
  return groups;
}

function conflicting(option: Option): OptionName[] {
  const back = OPTIONS.filter((other) => other.conflicts?.includes(option.name)).map(({ name }) => name);
  return [...((option.conflicts ?? []) as OptionName[]), ...back];
}

/**
 * Merges the levels, highest rank first (flag, environment, configuration file). Within one level options that
 * exclude each other are an error; a lower level gives way to a higher one.
 * @throws AwlError USAGE_BAD_VALUE, CONFIG_SYNTAX, USAGE_CONFLICT, USAGE_MISSING
 */
export function mergeLevels(levels: readonly (readonly Assignment[])[]): OptionValues {
  const merged = new Map<string, Assignment[]>();
  for (const level of levels) {
    const groups = group(level);
    const above = new Set(merged.keys());
    for (const [option, assignments] of groups) {
      const last = assignments.at(-1);
      if (!last || above.has(option.name)) continue;
      if (!isGiven(option, last.value)) {
        merged.set(option.name, assignments);
        continue;
      }
      const rivals = conflicting(option);
      if (rivals.some((name) => above.has(name) && isOn(merged, name))) continue;
      const rival = rivals.find((name) => merged.has(name) && isOn(merged, name));
      if (rival) throw conflict(merged.get(rival)?.at(-1), last);
      merged.set(option.name, assignments);
    }
  }
  checkRequirements(merged);
  return new OptionValues(merged);
}

function isOn(merged: ReadonlyMap<string, readonly Assignment[]>, name: OptionName): boolean {
  const last = merged.get(name)?.at(-1);
  return last !== undefined && isGiven(optionNamed(name), last.value);
}

function conflict(a: Assignment | undefined, b: Assignment): AwlError {
  const first = a ? describeSource(a.source) : '';
  return new AwlError('USAGE_CONFLICT', `${first} and ${describeSource(b.source)} exclude each other`, {
    hint: 'leave one of them out',
  });
}

function checkRequirements(merged: ReadonlyMap<string, readonly Assignment[]>): void {
  for (const [name, assignments] of merged) {
    const option = findOption(name);
    const last = assignments.at(-1);
    if (!option || !last || !isOn(merged, option.name)) continue;
    const lacking = ((option.requires ?? []) as OptionName[]).find((other) => !isOn(merged, other));
    if (lacking) {
      throw new AwlError(
        'USAGE_MISSING',
        `${describeSource(last.source)} means nothing without --${lacking}`,
        {
          hint: `add --${lacking}, or leave ${describeSource(last.source)} out`,
        },
      );
    }
  }
}
