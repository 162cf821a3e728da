import { CONNECTION_OPTIONS } from './options/connection.js';
import { GENERAL_OPTIONS } from './options/general.js';
import { PAST_OPTIONS } from './options/past.js';
import { PAYLOAD_OPTIONS } from './options/payload.js';
import { RENDEZVOUS_OPTIONS } from './options/rendezvous.js';
import type { OptionSpec } from './options/spec.js';
import { TUNNEL_OPTIONS } from './options/tunnel.js';
import { WORMHOLE_OPTIONS } from './options/wormhole.js';

const TABLE = [
  ...CONNECTION_OPTIONS,
  ...RENDEZVOUS_OPTIONS,
  ...PAYLOAD_OPTIONS,
  ...TUNNEL_OPTIONS,
  ...GENERAL_OPTIONS,
  ...WORMHOLE_OPTIONS,
  ...PAST_OPTIONS,
] as const;

export type OptionName = (typeof TABLE)[number]['name'];
export type Option = OptionSpec & { readonly name: OptionName };

/** The one option table: every option of every command, in the order in which help shows them. */
export const OPTIONS: readonly Option[] = TABLE;

const byName = new Map<string, Option>(
  OPTIONS.flatMap((option) => [option.name, ...(option.aliases ?? [])].map((name) => [name, option])),
);

/** The option with exactly this name or alias, whatever command it belongs to. */
export function findOption(name: string): Option | undefined {
  return byName.get(name);
}

export function optionNamed(name: OptionName): Option {
  const option = byName.get(name);
  if (!option) throw new Error(`no row for --${name}`);
  return option;
}

export function belongsTo(option: OptionSpec, command: string): boolean {
  return option.commands.length === 0 || option.commands.includes(command);
}

/** Rows that a command takes, hidden ones included. */
export function optionsOf(command: string): readonly Option[] {
  return OPTIONS.filter((option) => belongsTo(option, command));
}

/** `AWL_EMAIL_LOGIN` of `email-login`. */
export function envName(option: Pick<OptionSpec, 'name'>): string {
  return `AWL_${option.name.toUpperCase().replaceAll('-', '_')}`;
}
