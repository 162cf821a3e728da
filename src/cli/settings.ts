import { AwlError } from '../errors.js';
import { formatName, isComplete, type PartialName } from '../identity/names.js';
import type { ExecSpec } from '../launch/spec.js';
import { tokenize } from '../launch/tokenize.js';
import type { RendezvousSettings } from '../rendezvous/registry.js';
import { CANDIDATE_KINDS, type CandidateKind } from '../session/candidate-list.js';
import { ROUTES } from '../session/route.js';
import type { AcceptorSettings } from '../session/settings.js';
import type { Endpoint } from '../util/endpoint.js';
import type { HostPort } from '../util/host-port.js';
import { parseQos } from '../wire/reference-terms.js';
import type { TunnelTarget } from '../wire/tunnel-target.js';
import { parseLocal, parseServer } from './endpoints.js';
import { appName, execArgs, identityOf } from './generation.js';
import { expandHome } from './input-file.js';
import type { OptionName } from './options.js';
import { optionNamed } from './options.js';
import { rendezvousSettings } from './rendezvous-settings.js';
import { badValue } from './source.js';
import { tunnelSettings } from './tunnel-settings.js';
import type { OptionValues } from './values.js';

/** What the options of a session come to, before log, events and signal are added. */
export interface CliSettings {
  readonly accept: boolean;
  readonly settings: AcceptorSettings;
  /** Standard input and output are one connection to this. */
  readonly stdio?: TunnelTarget;
  /** For standard error, one line each. */
  readonly warnings: readonly string[];
}

/** What a mail subject and the signed message can both hold. */
const APP = /^[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?$/;

/**
 * Turns merged options into the settings of a session: reads PEM files and the password, settles what older
 * command lines leave open.
 * @throws AwlError USAGE_*, CONFIG_UNREADABLE, IDENTITY_NAME
 */
export async function sessionSettings(
  values: OptionValues,
  env: Readonly<Record<string, string | undefined>>,
  signal?: AbortSignal,
): Promise<CliSettings> {
  const accept = values.flag('accept');
  const app = appName(values);
  const stun = stunServers(values);
  const command = path(values, 'exec-command');
  const builtIn = tunnelSettings(values);
  const use = builtIn ?? command;
  requireAll({ '--app-id': app, '--stun-server': stun[0], '--exec-command': use });
  checkApp(app ?? '', values);
  const { rendezvous, warnings } = await rendezvousSettings(values, env, accept, signal);
  const host = identityOf(values, 'host-info', 'email-from');
  requireHost(host, rendezvous);
  const seconds = (name: OptionName) => {
    const value = values.number(name);
    return value === undefined ? undefined : Math.round(value * 1000);
  };
  const acceptTimeoutMs = seconds('accept-timeout');
  const stateDir = path(values, 'state-dir');
  const candidates = candidateKinds(values);
  const hops = values.given('punch-hops') ? values.number('punch-hops') : undefined;
  const settings: AcceptorSettings = {
    app: app ?? '',
    repo: path(values, 'app-repo') ?? '.',
    host,
    peer: identityOf(values, 'peer-info', 'email-to'),
    stun,
    bind: bindAddress(values),
    ...tcpSettings(values, builtIn !== undefined),
    ...relaySettings(values),
    rendezvous,
    ...(hops !== undefined && { hops }),
    responseTimeoutMs: seconds('response-timeout') ?? 60_000,
    handshakeTimeoutMs: seconds('handshake-timeout') ?? 60_000,
    cipher: values.choice('cipher') === 'des3' ? 'des3' : 'aes256',
    ...(candidates && { candidates }),
    portMapping: values.choice('port-mapping') !== 'off' && candidates?.includes('mapped') !== false,
    ...(command !== undefined && { exec: execSpec(values, command) }),
    ...(builtIn && { tunnel: builtIn.tunnel }),
    ...(values.flag('allow-plaintext') && { allowPlaintext: true }),
    ...(values.flag('allow-private') && { allowPrivate: true }),
    ...(values.flag('allow-loopback') && { allowLoopback: true }),
    ...(stateDir !== undefined && { stateDir }),
    ...(values.flag('once') && { once: true }),
    ...(acceptTimeoutMs !== undefined && { acceptTimeoutMs }),
  };
  return { accept, settings, ...(builtIn?.stdio && { stdio: builtIn.stdio }), warnings };
}

function requireAll(required: Readonly<Record<string, unknown>>): void {
  const lacking = Object.keys(required).filter((flag) => required[flag] === undefined);
  if (lacking.length === 0) return;
  throw new AwlError('USAGE_MISSING', `${lacking.join(', ')} ${lacking.length > 1 ? 'are' : 'is'} missing`, {
    hint: lacking.includes('--exec-command')
      ? 'name what uses the path: --export or --import for ports, --stdio or --socks5, or --exec-command for a program; awl --help explains them'
      : 'awl --help explains them; "awl help" lists the commands',
  });
}

/** A DHT keeps letters under the recipient's key, so it must be known whose they are (spec b). */
function requireHost(host: PartialName, rendezvous: readonly RendezvousSettings[]): void {
  const dht = rendezvous.find(({ name }) => name === 'hyperdht' || name === 'opendht');
  if (!dht || isComplete(host)) return;
  throw new AwlError(
    'USAGE_MISSING',
    `--host-info needs owner and pin with ${dht.name}, but is "${formatName(host)}"`,
    {
      hint: 'in a DHT letters are found by the key of their recipient: write --host-info=owner/pin, for example --host-info=me@example.org/laptop; e-mail can do without',
    },
  );
}

function checkApp(app: string, values: OptionValues): void {
  if (APP.test(app)) return;
  const source = values.written('app-id').at(-1)?.source ?? { kind: 'argv', as: 'app-id' };
  throw badValue(source, 'cannot stand in a mail subject', 'use 1 to 128 printable ASCII characters');
}

/** Undefined where nothing is said: all kinds then. */
function candidateKinds(values: OptionValues): readonly CandidateKind[] | undefined {
  const typed = values.choices('candidates');
  if (typed.length === 0) return undefined;
  if (typed.includes('none') && typed.length > 1) {
    const source = values.written('candidates').at(-1)?.source ?? { kind: 'argv', as: 'candidates' };
    throw badValue(source, 'says none and others', 'write none alone, or leave it out');
  }
  return CANDIDATE_KINDS.filter((kind) => typed.includes(kind));
}

/** A path option with `~/` expanded. */
function path(values: OptionValues, name: OptionName): string | undefined {
  const text = values.text(name);
  return text === undefined ? undefined : expandHome(text);
}

/** `--stun-server`, or the first generation's `--stun-ip` and `--stun-port`. */
function stunServers(values: OptionValues): HostPort[] {
  const host = values.text('stun-ip');
  if (host === undefined) return values.servers('stun-server');
  const port = values.number('stun-port') ?? optionNamed('stun-server').defaultPort ?? 0;
  return [endpoint(values, 'stun-ip', () => parseServer(host, port))];
}

/** `--stun-client`, or the first generation's `--bind-ip` and `--bind-port`. */
function bindAddress(values: OptionValues): Endpoint {
  const host = values.text('bind-ip');
  if (host === undefined) return values.local('stun-client') ?? { address: '0.0.0.0', port: 0 };
  return endpoint(values, 'bind-ip', () => parseLocal(host, values.number('bind-port') ?? 0));
}

/** `--relay-server` and `--route`, as far as they were given. */
function relaySettings(values: OptionValues): Pick<AcceptorSettings, 'relay' | 'route'> {
  const relay = values.server('relay-server');
  const route = ROUTES.find((one) => one === values.choice('route'));
  return { ...(relay && { relay }), ...(route && { route }) };
}

/** `--app-qos`, `--tcp-stun` and `--tcp-bind`, as far as they were given. */
function tcpSettings(values: OptionValues, tunnel: boolean): Pick<AcceptorSettings, 'qos' | 'tcp'> {
  const bind = values.local('tcp-bind');
  const stun = values.servers('tcp-stun');
  const tcp = { ...(bind && { bind }), ...(stun.length > 0 && { stun }) };
  const text = values.text('app-qos') ?? '';
  const qos = parseQos(text);
  const source = values.written('app-qos').at(-1)?.source ?? { kind: 'argv', as: 'app-qos' };
  if (!qos) throw badValue(source, `cannot be "${text.slice(0, 64)}"`, QOS_HINT);
  if (tunnel && qos.proto !== 'udp') {
    const hint = 'leave it out: the built-in tunnel uses TCP by itself where that can be punched';
    throw badValue(source, `"${text}" is for programs in --exec-command`, hint);
  }
  return { ...(bind || stun.length > 0 ? { tcp } : {}), ...(values.given('app-qos') && { qos }) };
}

const QOS_HINT =
  'write protocol:role, of udp, tcp, ssl or any and client, server, mutual or either; for example udp:either';

function endpoint<T>(values: OptionValues, name: OptionName, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const source = values.written(name).at(-1)?.source ?? { kind: 'argv', as: name };
    throw badValue(
      source,
      error instanceof Error ? error.message : 'is wrong',
      'write an address or a host name',
    );
  }
}

/** Texts are checked here, so that a stray quote is an error now and not when the peer has connected. */
function execSpec(values: OptionValues, command: string): ExecSpec {
  const args = execArgs(values);
  tokenize(args);
  const env = values.texts('exec-env');
  for (const pair of env) {
    if (/^[A-Za-z_][A-Za-z0-9_]*=/.test(pair)) continue;
    const source = values.written('exec-env').at(-1)?.source ?? { kind: 'argv', as: 'exec-env' };
    // The value may be a secret: name the variable only.
    const name = JSON.stringify(pair.split('=', 1)[0]?.slice(0, 64));
    throw badValue(source, `${name} is not KEY=VALUE`, 'for example --exec-env SECRET=%secret%');
  }
  const pwd = path(values, 'exec-pwd');
  const log = path(values, 'exec-log');
  return {
    command,
    args,
    ...(pwd !== undefined && { pwd }),
    ...(log !== undefined && { log }),
    ...(env.length > 0 && { env }),
    ...(values.flag('exec-detach') && { detach: true }),
  };
}
