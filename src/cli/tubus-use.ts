import { AwlError } from '../errors.js';
import type { TubusUse } from '../session/tubus.js';
import type { TunnelSettings } from '../session/tunnel.js';

/**
 * What `--tunnel=tubus` makes of exports and imports: one TCP service on one side of the passage.
 * @throws AwlError USAGE_CONFLICT saying what the wire has no place for, USAGE_MISSING
 */
export function tubusUse(
  { exports, imports, rules, socks5 }: TunnelSettings,
  stdio: boolean,
  masked: boolean,
): TubusUse {
  const [one, local] = [exports[0], imports[0]];
  const beyond = rules ? '--export-any' : socks5 ? '--socks5' : stdio ? '--stdio' : undefined;
  if (beyond) throw conflict(`${beyond} cannot be used`);
  if (exports.length + imports.length > 1) throw conflict('one --export or one --import is all that fits');
  if (one) {
    if (one.protocol !== 'tcp') throw conflict(`${one.protocol} cannot be exported, only TCP`);
    if (one.ports.first !== one.ports.last) throw conflict('one port can be exported, not a range');
    return { purpose: 'export', service: { host: one.host, port: one.ports.first }, masked };
  }
  if (local) {
    if (local.target.protocol !== 'tcp' || !('port' in local.local)) {
      throw conflict('a TCP port can be imported, no UDP and no Unix socket');
    }
    const { address: host, port } = local.local;
    return { purpose: 'import', service: { host, port }, masked };
  }
  throw new AwlError('USAGE_MISSING', '--tunnel=tubus needs an --export or an --import', { hint: HINT });
}

const HINT =
  'the other side runs wormhole with the opposite purpose: --export 22 here meets --purpose=import there, --import 2222 meets --purpose=export';

function conflict(what: string): AwlError {
  return new AwlError('USAGE_CONFLICT', `with --tunnel=tubus ${what}: its wire knows one TCP service`, {
    hint: HINT,
  });
}
