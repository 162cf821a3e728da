import { constants } from 'node:os';
import { join } from 'node:path';
import { launch, type PayloadExit } from '../launch/exec.js';
import type { ExecSpec } from '../launch/spec.js';
import type { WildcardValues } from '../launch/wildcards.js';
import { silentLogger } from '../log.js';
import type { Passage } from './passage.js';
import type { SessionSettings } from './settings.js';

/** What the payload may learn, by wildcard and environment. */
export function payloadValues(passage: Passage, repo: string): WildcardValues {
  const { host, peer } = passage;
  return {
    role: passage.role,
    inner: passage.inner,
    outer: passage.outer,
    peer: passage.alien,
    ...(passage.qos !== undefined && { qos: passage.qos }),
    secret: passage.secret,
    hostName: host,
    peerName: peer,
    hostCert: join(repo, host.owner, host.pin, 'cert.crt'),
    hostKey: join(repo, host.owner, host.pin, 'private.key'),
    peerCert: join(repo, peer.owner, peer.pin, 'cert.crt'),
    ...(passage.sessionKey && { sessionKey: passage.sessionKey }),
  };
}

/**
 * Hands the passage to the program that the user named: the port is given back first, so that the program can
 * bind it and inherit the mapping.
 * @throws AwlError PAYLOAD_START
 */
export async function runPayload(
  passage: Passage,
  exec: ExecSpec,
  settings: SessionSettings,
  signal: AbortSignal | undefined = settings.signal,
): Promise<PayloadExit> {
  const { session } = passage;
  await passage.handOver();
  const exit = await launch(exec, payloadValues(passage, settings.repo), {
    log: (settings.log ?? silentLogger).child(session),
    ...(signal && { signal }),
    stdio: settings.stdio ?? 'quiet',
    transport: passage.transport,
    forward: ['SIGHUP', 'SIGUSR1', 'SIGUSR2'],
    onStart: (pid) => settings.onEvent?.({ event: 'payload-started', session, pid }),
  });
  if (!exec.detach) settings.onEvent?.({ event: 'payload-ended', session, ...exit });
  return exit;
}

/** The payload's end as an exit status of our own, as shells say it: a signal is 128 plus its number. */
export function exitStatus(exit: PayloadExit): number {
  if (exit.status !== null) return exit.status;
  const number = exit.signal ? constants.signals[exit.signal as NodeJS.Signals] : undefined;
  return 128 + (number ?? 9);
}
