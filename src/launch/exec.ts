import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { AwlError, errorText } from '../errors.js';
import type { Logger } from '../log.js';
import { payloadEnvironment } from './environment.js';
import { endAll, processGroup, singleProcess } from './group.js';
import { proveFree } from './port.js';
import type { ExecSpec } from './spec.js';
import { hasTerminal, openStreams, type StdioMode } from './streams.js';
import { tokenize } from './tokenize.js';
import { asksForSecret, checkNames, substitute, type WildcardValues } from './wildcards.js';

/** How a payload ended: its exit status, or the signal that ended it. */
export interface PayloadExit {
  readonly status: number | null;
  readonly signal: string | null;
}

export interface LaunchOptions {
  readonly log: Logger;
  /** Aborting ends the payload: TERM, and after TERM_GRACE_MS KILL. */
  readonly signal?: AbortSignal;
  /** Streams of a payload that has no `--exec-log`; default `quiet`. */
  readonly stdio?: StdioMode;
  /** Signals to this process that are passed on while the payload runs, such as SIGHUP; default none. */
  readonly forward?: readonly NodeJS.Signals[];
  /** What the program is to bind `inner` for; default `udp`. */
  readonly transport?: 'udp' | 'tcp';
  readonly onStart?: (pid: number) => void;
  /** Time between TERM and KILL; tests shorten it. */
  readonly graceMs?: number;
}

interface Plan {
  readonly command: string;
  readonly args: string[];
  readonly env: Record<string, string>;
  readonly pwd: string | undefined;
  readonly log: string | undefined;
}

/**
 * Everything that is decided before anything is started: tokens first, wildcards once per token.
 * @throws AwlError USAGE_BAD_VALUE, IDENTITY_NAME
 */
export function planPayload(spec: ExecSpec, given: WildcardValues, inherited: NodeJS.ProcessEnv): Plan {
  checkNames(given);
  const values = withAbsolutePaths(given);
  return {
    command: spec.command,
    args: tokenize(spec.args).map((token) => substitute(token, values)),
    env: payloadEnvironment(inherited, values, spec.env),
    pwd: spec.pwd ? substitute(spec.pwd, values, 'path') : undefined,
    log: spec.log ? substitute(spec.log, values, 'path') : undefined,
  };
}

/** The payload may run in another folder than we, so a relative `--app-repo` must not reach it. */
function withAbsolutePaths(values: WildcardValues): WildcardValues {
  const { hostCert, hostKey, peerCert } = values;
  return {
    ...values,
    ...(hostCert !== undefined && { hostCert: resolve(hostCert) }),
    ...(hostKey !== undefined && { hostKey: resolve(hostKey) }),
    ...(peerCert !== undefined && { peerCert: resolve(peerCert) }),
  };
}

/**
 * Runs the payload on a passage whose socket the caller has closed: proves the port free, starts the program without
 * a shell in a session of its own, waits for it, and ends whatever its process group leaves behind.
 *
 * With `stdio: 'inherit'` and a terminal it stays in our session instead, so that the program can use the terminal:
 * Ctrl-C then reaches it directly, and only the program itself is ended on abort, not what it started.
 * With `spec.detach` it resolves to status 0 as soon as the program runs, and the program outlives us.
 *
 * @returns how the program ended, also when the signal ended it; the caller sees that on its signal
 * @throws AwlError PAYLOAD_START, USAGE_BAD_VALUE, IDENTITY_NAME; the signal's reason if aborted before the start
 */
export async function launch(spec: ExecSpec, values: WildcardValues, o: LaunchOptions): Promise<PayloadExit> {
  const plan = planPayload(spec, values, process.env);
  if ([spec.args, spec.pwd ?? '', spec.log ?? ''].some(asksForSecret)) {
    o.log.warning(
      '%secret% is visible to every user of this machine in the process list; AWL_SECRET in the environment is not',
    );
  }
  if (plan.pwd !== undefined) await checkFolder(plan.pwd);
  const mode = o.stdio ?? 'quiet';
  const streams = await openStreams({ log: plan.log, pwd: plan.pwd, detach: spec.detach, mode });
  const foreground = mode === 'inherit' && !spec.detach && !plan.log && hasTerminal();
  let child: ChildProcess;
  try {
    await proveFree(values.inner, o.signal, o.transport);
    o.signal?.throwIfAborted();
    child = await start(plan, streams.stdio, !foreground);
  } finally {
    await streams.close();
  }
  const pid = child.pid ?? 0;
  o.log.info(`started ${plan.command} with ${plan.args.length} arguments, pid ${pid}`);
  o.onStart?.(pid);
  if (spec.detach) {
    child.once('exit', (status, signal) =>
      o.log.info(`${plan.command}, pid ${pid}, ended: ${signal ?? status}`),
    );
    child.unref();
    return { status: 0, signal: null };
  }
  return supervise(child, plan.command, foreground, o);
}

async function checkFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch((error: unknown) => error);
  if (found instanceof Error || !(found as { isDirectory(): boolean }).isDirectory()) {
    throw new AwlError('PAYLOAD_START', `--exec-pwd ${folder} is not a folder that can be entered`, {
      hint: 'create it first, or leave --exec-pwd out',
      cause: found,
    });
  }
}

async function start(plan: Plan, stdio: (number | 'ignore')[], ownSession: boolean): Promise<ChildProcess> {
  try {
    const { env, pwd } = plan;
    const child = spawn(plan.command, plan.args, {
      env,
      stdio,
      detached: ownSession,
      ...(pwd && { cwd: pwd }),
    });
    // `once` rejects with the error event, which is how a missing program shows.
    await once(child, 'spawn');
    return child;
  } catch (error) {
    throw startError(plan.command, error);
  }
}

function startError(command: string, error: unknown): AwlError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  const fail = (problem: string, hint: string) =>
    new AwlError('PAYLOAD_START', `cannot start ${command}: ${problem}`, { hint, cause: error });
  if (code === 'ENOENT') {
    return command.includes('/')
      ? fail(
          'there is no such file, or its #! line names none',
          'a relative path starts at --exec-pwd; check path and first line',
        )
      : fail(
          'no such program in PATH',
          'install it, or give --exec-command its full path; arguments go into --exec-args',
        );
  }
  if (code === 'EACCES')
    return fail('it may not be executed', `make it executable with: chmod +x ${command}`);
  if (code === 'E2BIG')
    return fail('arguments and environment are too long', 'shorten --exec-args or --exec-env');
  return fail(errorText(error), 'try to run it by hand');
}

async function supervise(
  child: ChildProcess,
  command: string,
  foreground: boolean,
  o: LaunchOptions,
): Promise<PayloadExit> {
  const pid = child.pid ?? 0;
  const running = () => child.exitCode === null && child.signalCode === null;
  const target = foreground ? singleProcess(pid, running) : processGroup(pid);
  const forwards = (o.forward ?? []).map((name) => ({ name, pass: () => target.signal(name) }));
  for (const { name, pass } of forwards) process.on(name, pass);

  let wake = () => {};
  try {
    await new Promise<void>((done) => {
      wake = done;
      if (!running() || o.signal?.aborted) done();
      child.once('exit', () => done());
      o.signal?.addEventListener('abort', wake, { once: true });
    });
    const stopped = running();
    if (target.alive()) {
      if (!stopped)
        o.log.warning(
          `${command} left processes behind, which are ended; --exec-detach lets a program go its own way`,
        );
      const how = await endAll(target, o.graceMs);
      if (how === 'killed') o.log.warning(`${command}, pid ${pid}, did not end by itself and was killed`);
      if (how === 'stuck')
        o.log.error(`${command}, pid ${pid}, does not even end when killed; giving up on it`);
    }
    // The group is gone, but the news of the leader's end may still be on its way.
    if (running() && !target.alive()) await once(child, 'exit');
  } finally {
    o.signal?.removeEventListener('abort', wake);
    for (const { name, pass } of forwards) process.off(name, pass);
  }
  if (running()) child.unref();
  o.log.info(`${command}, pid ${pid}, ended: ${child.signalCode ?? child.exitCode ?? 'unknown'}`);
  return { status: child.exitCode, signal: running() ? 'SIGKILL' : child.signalCode };
}
