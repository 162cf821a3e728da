import type { TunnelSettings } from '../session/tunnel.js';
import type { Endpoint } from '../util/endpoint.js';
import { type Acl, parseRule } from '../wire/acl.js';
import { parseExport, parseImport, parseTarget, type TunnelTarget } from '../wire/tunnel-target.js';
import { EndpointProblem, parseLocal } from './endpoints.js';
import type { OptionName } from './options.js';
import { badValue } from './source.js';
import { tubusUse } from './tubus-use.js';
import type { OptionValues } from './values.js';

const SOCKS_PORT = 1080;

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
  const rules = anyRules(values);
  const proxy = values.text('socks5');
  const socks5 = proxy === undefined ? undefined : read(values, 'socks5', proxy, parseProxy);
  const wire = values.choice('tunnel');
  const masked = wire === 'tubus';
  const overTubus = masked || wire === 'tubus-clear';
  if (!overTubus && exports.length === 0 && imports.length === 0 && !stdio && !rules && !socks5)
    return undefined;
  const seconds = values.number('reconnect-timeout');
  const reconnectMs = seconds === undefined ? undefined : Math.round(seconds * 1000);
  const tunnel: TunnelSettings = {
    exports,
    imports,
    ...(rules && { rules }),
    ...(socks5 && { socks5 }),
    ...(reconnectMs !== undefined && { reconnectMs }),
    ...(values.flag('udp-only') && { udpOnly: true }),
    ...(wire === 'udx' && { udx: true }),
  };
  if (!overTubus) return { tunnel, ...(stdio && { stdio }) };
  // A tubus cannot be taken up again by another path.
  const tubus = tubusUse(tunnel, stdio !== undefined, masked);
  return { tunnel: { ...tunnel, tubus, reconnectMs: 0 } };
}

function anyRules(values: OptionValues): Acl | undefined {
  const list = (name: OptionName) =>
    values.texts(name).map((text) => read(values, name, text, (one) => parseRule(one)));
  const allows = list('export-any');
  return allows.length === 0 ? undefined : { allows, blocks: list('export-except') };
}

/** `[ADDRESS:]PORT` or `ADDRESS`, with the port of RFC 1928's registration. */
function parseProxy(text: string): Endpoint {
  try {
    return parseLocal(/^\d{1,5}$/.test(text) ? `127.0.0.1:${text}` : text, SOCKS_PORT);
  } catch (error) {
    if (!(error instanceof EndpointProblem)) throw error;
    throw new RangeError(error.message);
  }
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
  'export-any': "--export-any '10.0.0.0/8:*', --export-any '*:443'",
  'export-except': "--export-except '127.0.0.1:*'",
  socks5: '--socks5 1080, --socks5 127.0.0.1:1080',
  stdio: '--stdio 22',
};
