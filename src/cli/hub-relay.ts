import { RELAY_PORT } from '../constants.js';
import { AwlError } from '../errors.js';
import type { HubRelay } from './hub.js';
import { expandHome } from './input-file.js';
import { badValue } from './source.js';
import type { OptionValues } from './values.js';

/**
 * `--relay-port`, and who may use the relay.
 * @throws AwlError USAGE_MISSING, USAGE_BAD_VALUE
 */
export function relayOptions(options: OptionValues): HubRelay {
  const repo = options.text('app-repo');
  const fingerprints = options.texts('relay-allow').map((text) => {
    const hex = text.replace(/[\s:]/g, '').toLowerCase();
    if (/^[0-9a-f]{64}$/.test(hex)) return hex;
    const source = options.written('relay-allow').at(-1)?.source ?? { kind: 'argv', as: 'relay-allow' };
    throw badValue(
      source,
      'is no fingerprint',
      'write the 64 hexadecimal digits that awl id list --long shows',
    );
  });
  if (repo === undefined && fingerprints.length === 0) {
    throw new AwlError('USAGE_MISSING', '--relay needs --app-repo or --relay-allow: it serves nobody else', {
      hint: 'put the certificates of your machines into a repository with awl id trust, and name that',
    });
  }
  const port = options.number('relay-port') ?? RELAY_PORT;
  return { port, fingerprints, ...(repo !== undefined && { repo: expandHome(repo) }) };
}
