import { AwlError } from '../errors.js';
import { formatName } from '../identity/names.js';
import { qosOf, substitute, type WildcardValues } from './wildcards.js';

/** Settings of the exec hooks, which the user exports for them; every other inherited `AWL_` name is ours. */
const HOOK_SETTING = /^AWL_(?:TUN|WG|OPENVPN)_/;

/** The `AWL_` variables of one passage, documented in docs/EXEC.md; absent values give no variable. */
export function passageVariables(values: WildcardValues): Record<string, string> {
  const { hostCert, hostKey, peerCert, sessionKey } = values;
  return {
    AWL_ROLE: values.role,
    AWL_QOS: qosOf(values),
    AWL_INNER_IP: values.inner.address,
    AWL_INNER_PORT: String(values.inner.port),
    AWL_OUTER_IP: values.outer.address,
    AWL_OUTER_PORT: String(values.outer.port),
    AWL_PEER_IP: values.peer.address,
    AWL_PEER_PORT: String(values.peer.port),
    AWL_HOST_ID: formatName(values.hostName),
    AWL_PEER_ID: formatName(values.peerName),
    AWL_SECRET: values.secret.toString(),
    ...(hostCert !== undefined && { AWL_HOST_CERT: hostCert }),
    ...(hostKey !== undefined && { AWL_HOST_KEY: hostKey }),
    ...(peerCert !== undefined && { AWL_PEER_CERT: peerCert }),
    ...(sessionKey && { AWL_SESSION_KEY: Buffer.from(sessionKey).toString('hex') }),
  };
}

/**
 * The payload's environment: what awl inherited without awl's own settings (a mail password must not reach the
 * payload, nor the secrets of an outer awl), then the passage, then the user's `KEY=VALUE` pairs.
 *
 * @param pairs `--exec-env` texts with wildcards still in them
 * @throws AwlError USAGE_BAD_VALUE for a pair that is none
 */
export function payloadEnvironment(
  inherited: NodeJS.ProcessEnv,
  values: WildcardValues,
  pairs: readonly string[] = [],
): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(inherited)) {
    if (value !== undefined && (!name.startsWith('AWL_') || HOOK_SETTING.test(name))) env[name] = value;
  }
  Object.assign(env, passageVariables(values));
  for (const pair of pairs) {
    const match = /^([A-Za-z_][A-Za-z0-9_]*)=([^\0]*)$/.exec(pair);
    if (!match) {
      // The value may be a secret: name the variable only.
      const name = JSON.stringify(pair.split('=', 1)[0]);
      throw new AwlError('USAGE_BAD_VALUE', `--exec-env ${name} is not KEY=VALUE`, {
        hint: 'a name of letters, digits and _, then "=", then the value; for example --exec-env SECRET=%secret%',
      });
    }
    env[match[1] ?? ''] = substitute(match[2] ?? '', values, 'env');
  }
  return env;
}
