import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import type { Server } from 'node:http';
import { AwlError, errorText } from '../../errors.js';
import { createLogger, LOG_LEVELS, type LogLevel } from '../../log.js';
import { Access } from '../../meepo/access.js';
import { apiServer } from '../../meepo/api.js';
import { accessOf, type MeepoConfig } from '../../meepo/config.js';
import { MeepoNode } from '../../meepo/node.js';
import { MeepoProxy } from '../../meepo/proxy.js';
import type { DaemonStatus } from '../../meepo/status.js';
import { type Endpoint, formatEndpoint, parseEndpoint } from '../../util/endpoint.js';
import { sleep, untilAborted } from '../../util/sleep.js';
import { keepYoungHeapSmall } from '../heap.js';
import { oneLine } from '../io.js';
import { type MetricsServer, serveMetrics } from '../metrics.js';
import { versionFields } from './actions.js';
import { listenPort, listenSocket } from './api-listeners.js';
import { isAnswering } from './client.js';
import { chosenConfig, loadConfig } from './config-actions.js';
import type { MeepoContext } from './context.js';
import { type Identity, loadIdentity } from './identity.js';
import { readNames } from './names.js';
import { nodeMetrics } from './node-metrics.js';
import { ensureMeepoDirectory, logPath, socketPath } from './place.js';
import { openSignaling, signalingOf } from './signaling.js';

/** How long a daemon may take to answer for the first time. */
const START_MS = 15_000;
/** The real one leaves this much time for its answer. */
const SHUTDOWN_MS = 1_000;

/**
 * V8 lets short-lived objects fill three times 16 MB before it looks at them, and the buffers that they hold with them; an
 * eighth of that is as quick here and takes 40 MB less.
 */
const LEAN = ['--max-semi-space-size=2'];
/** The GNU C library, told a limit, keeps to it; else it raises that by itself after the first large buffer, and gives nothing back: 10 MB. */
const FRUGAL = { MALLOC_TRIM_THRESHOLD_: '131072' };

/** logrus' levels in our words. */
const LEVELS: Readonly<Record<string, LogLevel>> = { panic: 'fatal', warn: 'warning' };

const AGENT_NOTE =
  'the key is in the ssh-agent, which cannot open offers: real Meepo nodes cannot call this one, awl nodes can';

interface Plan {
  readonly config: MeepoConfig;
  readonly given: ReadonlySet<string>;
  readonly identity: Identity;
  readonly identityFile: string;
}

async function plan(context: MeepoContext): Promise<Plan> {
  const { flags, io, signal } = context;
  const { config, given, notes } = await loadConfig(chosenConfig(context));
  for (const note of notes) io.stderr(`awl: warning: ${note}\n`);
  const identityFile = flags.get('identity-file') ?? flags.get('filename') ?? config.identityFile;
  const identity = await loadIdentity(
    identityFile,
    flags.get('passphrase-file'),
    signal,
    io.env['SSH_AUTH_SOCK'],
  );
  if (identity.keys.signer) io.stderr(`awl: warning: ${AGENT_NOTE}\n`);
  return { config, given, identity, identityFile };
}

function levelOf(flags: ReadonlyMap<string, string>, config: MeepoConfig): LogLevel {
  const typed = flags.get('log-level') ?? config.log.level;
  const level = LEVELS[typed] ?? LOG_LEVELS.find((one) => one === typed);
  if (level) return level;
  throw new AwlError('USAGE_BAD_VALUE', `${JSON.stringify(typed.slice(0, 40))} is no log level`, {
    hint: `levels: ${LOG_LEVELS.join(', ')}`,
  });
}

/** `serve`: a daemon, or in the foreground with `--daemon=false` until it is stopped. */
export async function runServe(context: MeepoContext): Promise<number> {
  const planned = await plan(context);
  const daemon = context.flags.get('daemon') ?? String(planned.config.daemon);
  await refuseSecond(context);
  return daemon === 'true' ? detach(context, planned) : stay(context, planned);
}

/** True if a daemon answers on this folder's socket. */
async function answers({ daemon, signal }: MeepoContext): Promise<boolean> {
  return existsSync(daemon.socket) && isAnswering({ socket: daemon.socket }, signal);
}

async function refuseSecond(context: MeepoContext): Promise<void> {
  if (!(await answers(context))) return;
  throw new AwlError('MEEPO_REFUSED', 'Meepo is running already', {
    hint: 'stop it with: awl meepo shutdown',
  });
}

async function nodeOf(planned: Plan, context: MeepoContext): Promise<MeepoNode> {
  const { config, identity } = planned;
  const log = createLogger({ level: levelOf(context.flags, config) });
  const address = context.flags.get('address');
  const { transport } = config;
  return new MeepoNode({
    keys: identity.keys,
    webrtc: {
      iceServers: transport.iceServers ?? [],
      ...(address !== undefined && { onlyAddress: address }),
    },
    access: accessOf(config),
    ...(await openSignaling(signalingOf(config, planned.given), log)),
    selfmesh: config.asSignaling,
    portMapping: (context.flags.get('port-mapping') ?? String(config.portMapping !== false)) === 'true',
    awlSecretsOnly: (context.flags.get('awl-secrets-only') ?? String(config.awlSecretsOnly)) === 'true',
    log,
  });
}

/** @throws AwlError CONFIG_SYNTAX */
function metricsPlace(text: string): Endpoint | undefined {
  const place = text === '' ? undefined : parseEndpoint(text);
  if (place || text === '') return place;
  throw new AwlError(
    'CONFIG_SYNTAX',
    `metrics: ${JSON.stringify(text.slice(0, 60))} is no address and port`,
    {
      hint: 'write for example 127.0.0.1:9470',
    },
  );
}

async function stay(context: MeepoContext, planned: Plan): Promise<number> {
  const { config } = planned;
  keepYoungHeapSmall();
  const stop = new AbortController();
  const node = await nodeOf(planned, context);
  const log = createLogger({ level: levelOf(context.flags, config) });
  const servers: Server[] = [];
  let proxy: MeepoProxy | undefined;
  const begun = performance.now();
  let metrics: MetricsServer | undefined;
  const status = (): DaemonStatus => ({
    ...node.status(),
    pid: process.pid,
    upMs: Math.round(performance.now() - begun),
    ...(proxy && { proxy: proxy.counts }),
  });
  try {
    const at = metricsPlace(context.flags.get('metrics') ?? config.metrics ?? '');
    if (at) metrics = await serveMetrics(at, () => nodeMetrics(status()));
    if (metrics) context.io.stderr(`metrics on http://${formatEndpoint(metrics.endpoint)}/metrics\n`);
    const api = () =>
      apiServer({
        node,
        version: versionFields(),
        status,
        shutdown: () => setTimeout(() => stop.abort(), SHUTDOWN_MS),
        log,
      });
    ensureMeepoDirectory(context.io.env);
    const socks = config.proxy?.socks5;
    if (socks) {
      const lookup = (name: string) => {
        try {
          return readNames(context.io.env).get(name);
        } catch (error) {
          log.error(errorText(error));
          return undefined;
        }
      };
      proxy = new MeepoProxy({ node, ...socks, lookup, log });
      await proxy.listen();
    }
    servers.push(await listenSocket(api(), socketPath(context.io.env)));
    servers.push(await listenPort(api(), config.api.host, config.api.port));
    context.io.stderr(`Meepo ${node.id}: ${oneLine(node.access.summary)}\n`);
    await untilAborted(AbortSignal.any([stop.signal, context.signal]));
    return 0;
  } finally {
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
    await metrics?.close();
    await proxy?.close();
    await node.close();
  }
}

/** Starts the same line as a process of its own and waits until it answers. */
async function detach(context: MeepoContext, planned: Plan): Promise<number> {
  const { flags, io, signal } = context;
  const { passphrase } = planned.identity;
  // Said here, where somebody reads it, and checked before anything is started.
  const probe = new Access(accessOf(planned.config));
  levelOf(flags, planned.config);
  ensureMeepoDirectory(io.env);
  const kept = [...flags].filter(([name]) => !['daemon', 'passphrase-file'].includes(name));
  const args = kept.map(([name, value]) => `--${name}=${value}`);
  if (passphrase !== undefined) args.push('--passphrase-file=/dev/stdin');
  const log = openSync(logPath(io.env), 'a', 0o600);
  const child = spawn(
    process.execPath,
    [...LEAN, process.argv[1] ?? '', 'meepo', 'serve', '--daemon=false', ...args],
    {
      detached: true,
      env: { ...FRUGAL, ...process.env },
      stdio: [passphrase === undefined ? 'ignore' : 'pipe', log, log],
    },
  );
  closeSync(log);
  child.stdin?.end(`${passphrase}\n`);
  let ended: number | string | undefined;
  child.once('exit', (status, name) => {
    ended = name ?? status ?? 1;
  });
  const until = performance.now() + START_MS;
  while (performance.now() < until && ended === undefined) {
    if (await answers(context)) {
      child.unref();
      io.stderr(`Meepo: ${oneLine(probe.summary)}\n`);
      return 0;
    }
    await sleep(100, signal);
  }
  if (ended === undefined) child.kill();
  throw new AwlError(
    'MEEPO_UNAVAILABLE',
    `the daemon does not start${ended === undefined ? '' : ` (${ended})`}`,
    {
      hint: `its last words are in ${logPath(io.env)}`,
    },
  );
}
