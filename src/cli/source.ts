import { AwlError } from '../errors.js';

/** Where a value was written, in falling order of rank. */
export type SourceKind = 'argv' | 'env' | 'config';

export interface Source {
  readonly kind: SourceKind;
  /** Name as written: an alias, an abbreviation's full name, an environment variable. */
  readonly as: string;
  readonly file?: string;
  readonly line?: number;
}

/** One value as written, not yet converted. */
export interface Assignment {
  readonly name: string;
  readonly value: string;
  readonly source: Source;
}

/** How messages call the place: `--udp-stun`, `AWL_STUN_SERVER`, `awl.ini:3: udp-stun`. */
export function describeSource({ kind, as, file, line }: Source): string {
  if (kind === 'argv') return `--${as}`;
  return kind === 'env' ? as : `${file}:${line}: ${as}`;
}

/** A wrong value: exit status 64 from command line or environment, 78 from a configuration file. */
export function badValue(source: Source, problem: string, hint: string): AwlError {
  const code = source.kind === 'config' ? 'CONFIG_SYNTAX' : 'USAGE_BAD_VALUE';
  return new AwlError(code, `${describeSource(source)} ${problem}`, { hint });
}
