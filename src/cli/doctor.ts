import { DOCTOR_MS, PROBE_EXTRA_MS, STUN_RETRANSMITS_MS } from '../constants.js';
import { AwlError, ERROR_CODES, errorText } from '../errors.js';
import { type Logger, silentLogger } from '../log.js';
import type { RendezvousSettings } from '../rendezvous/registry.js';
import { type Outcome, outcomeError } from '../stun/client.js';
import { advice, type Diagnosis, explain, prospects, type ServerState } from '../stun/explain.js';
import { type Probe, probe } from '../stun/probe.js';
import { resolveServer } from '../stun/resolve.js';
import { fitSchedule } from '../stun/schedule.js';
import { type Endpoint, formatEndpoint, sameEndpoint } from '../util/endpoint.js';
import { formatHostPort, type HostPort } from '../util/host-port.js';
import { deadline } from '../util/sleep.js';
import { UdpSocket } from '../util/udp.js';
import type { Io } from './io.js';
import { checkAll, checkStatus, checkText } from './rendezvous-check.js';

export interface DoctorSettings {
  readonly servers: HostPort[];
  readonly bind: Endpoint;
  /** One JSON object instead of words. */
  readonly json: boolean;
  /** Each is tried as a session would. */
  readonly rendezvous?: readonly RendezvousSettings[];
  readonly log?: Logger;
}

/** A server as typed, and its address or why it has none. */
interface Resolved {
  readonly name: string;
  readonly endpoint?: Endpoint;
  readonly problem?: string;
}

/**
 * `awl doctor`: measures the own NAT, says what it means for connecting and what to change, and tries each configured
 * rendezvous, in under 5 s whatever the servers do. Without a STUN server it only tries the rendezvous.
 * Resolves to the exit status: 0 if a public endpoint was found and every rendezvous is ready, else that of the
 * gravest failure.
 * @throws AwlError UDP_BIND, USAGE_MISSING (nothing to ask); the signal's reason when aborted
 */
export async function runDoctor(
  settings: DoctorSettings,
  io: Pick<Io, 'stdout' | 'stderr'>,
  signal: AbortSignal,
): Promise<number> {
  const { servers, rendezvous = [], log = silentLogger } = settings;
  if (servers.length === 0 && rendezvous.length === 0) {
    throw new AwlError('USAGE_MISSING', 'awl doctor needs a STUN server', {
      hint: 'name one or two with --stun-server; --rendezvous and its options are tried, too',
    });
  }
  const [diagnosis, checks] = await Promise.all([
    servers.length > 0 ? diagnose(settings, signal) : undefined,
    checkAll(rendezvous, log, signal),
  ]);
  signal.throwIfAborted();
  if (settings.json) {
    const whole = { ...(diagnosis && toJson(diagnosis)), ...(checks.length > 0 && { rendezvous: checks }) };
    io.stdout(`${JSON.stringify(whole)}\n`);
  } else {
    const parts = [diagnosis && explain(diagnosis), checkText(checks)].filter(Boolean);
    io.stdout(parts.join('\n'));
  }
  const unheard = diagnosis && !diagnosis.found;
  return Math.max(unheard ? ERROR_CODES.STUN_UNREACHABLE : 0, checkStatus(checks));
}

async function diagnose({ servers, bind }: DoctorSettings, outer: AbortSignal): Promise<Diagnosis> {
  const begun = performance.now();
  const limit = deadline(DOCTOR_MS, () => new Error('out of time'), outer);
  const socket = await UdpSocket.bind(bind);
  try {
    const resolved = await resolveAll(servers, socket.local, limit.signal);
    const endpoints: Endpoint[] = [];
    for (const { endpoint } of resolved) {
      if (endpoint && !endpoints.some((known) => sameEndpoint(known, endpoint))) endpoints.push(endpoint);
    }
    const left = DOCTOR_MS - PROBE_EXTRA_MS - (performance.now() - begun);
    const measuring = probe(socket, endpoints, {
      signal: limit.signal,
      schedule: fitSchedule(STUN_RETRANSMITS_MS, left),
    });
    const first = await measuring.first.catch(() => undefined);
    const report = await measuring.report;
    return {
      local: socket.local,
      ...(first && { found: { endpoint: first.mapped, server: first.server, ms: first.ms } }),
      report,
      servers: resolved.map((server) => stateOf(server, measuring)),
    };
  } finally {
    limit.dispose();
    await socket.close();
  }
}

function resolveAll(servers: readonly HostPort[], local: Endpoint, signal: AbortSignal): Promise<Resolved[]> {
  return Promise.all(
    servers.map(async (server) => {
      const name = formatHostPort(server);
      try {
        return { name, endpoint: await resolveServer(server, local, { signal }) };
      } catch (error) {
        return { name, problem: predicate(name, errorText(error)) };
      }
    }),
  );
}

/** What an error says of a server, without the server's name in front: that stands in its own column. */
function predicate(name: string, message: string): string {
  const subject = `STUN server ${name} `;
  return message.startsWith(subject) ? message.slice(subject.length) : message;
}

function stateOf({ name, endpoint, problem }: Resolved, measuring: Probe): ServerState {
  if (!endpoint) return { name, state: 'unresolved', ...(problem && { detail: problem }) };
  const entry = measuring.servers().find(({ server }) => sameEndpoint(server, endpoint));
  const outcome: Outcome | undefined = entry?.outcome;
  if (outcome?.kind === 'answer') return { name, state: 'answered' };
  const refused = outcome?.kind === 'refused' || (outcome?.kind === 'silent' && outcome.unbelievable);
  const message = refused && outcome ? outcomeError(endpoint, outcome)?.message : undefined;
  const detail = message && predicate(formatEndpoint(endpoint), message);
  return { name, state: refused ? 'refused' : 'silent', ...(detail && { detail }) };
}

function toJson(diagnosis: Diagnosis): object {
  const { found, local, report, servers } = diagnosis;
  return {
    endpoint: found ? formatEndpoint(found.endpoint) : null,
    local: formatEndpoint(local),
    server: found ? formatEndpoint(found.server) : null,
    ms: found ? Math.round(found.ms) : null,
    report,
    prospects: found ? prospects(report) : null,
    servers,
    change: advice(diagnosis) ?? null,
    ...(!found && { code: 'STUN_UNREACHABLE' }),
  };
}
