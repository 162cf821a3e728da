import type { TunnelSettings } from '../session/tunnel.js';
import { parseExport, parseImport, parseTarget, type TunnelTarget } from '../wire/tunnel-target.js';
import type { OptionName } from './options.js';
import { badValue } from './source.js';
import type { OptionValues } from './values.js';

/** What `--export`, `--import` and `--stdio` come to; streams are added by who has them. */
export interface CliTunnel {
  readonly tunnel: TunnelSettings;
  readonly stdio?: TunnelTarget;
}

/**
 * Undefined if the built-in tunnel is not wanted.
 * @throws AwlError USAGE_BAD_VALUE, CONFIG_SYNTAX
 */
export function tunnelSettings(values: OptionValues): CliTunnel | undefined {
  const exports = values.texts('export').map((text) => read(values, 'export', text, parseExport));
  const imports = values.texts('import').flatMap((text) => read(values, 'import', text, parseImport));
  const text = values.text('stdio');
  const stdio = text === undefined ? undefined : read(values, 'stdio', text, parseConnection);
  if (exports.length === 0 && imports.length === 0 && !stdio) return undefined;
  return { tunnel: { exports, imports }, ...(stdio && { stdio }) };
}

function parseConnection(text: string): TunnelTarget {
  const target = parseTarget(text);
  if (target.protocol === 'udp') throw new RangeError('names UDP, which has no connections');
  return target;
}

function read<T>(values: OptionValues, name: OptionName, text: string, parse: (text: string) => T): T {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const writings = values.written(name);
    const written = writings.find(({ value }) => value.includes(text)) ?? writings.at(-1);
    throw badValue(
      written?.source ?? { kind: 'argv', as: name },
      `"${text.slice(0, 128)}" ${error.message}`,
      `for example ${EXAMPLES[name] ?? ''}`,
    );
  }
}

const EXAMPLES: Partial<Record<OptionName, string>> = {
  export: '--export 22, --export tcp:10.0.0.5:5432, --export udp:51820, --export unix:/run/app.sock',
  import: '--import 2222:22, --import 8080, --import udp:51820, --import unix:/tmp/x.sock:22',
  stdio: '--stdio 22',
};
