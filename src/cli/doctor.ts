import { writeFileSync } from 'node:fs';
import { DOCTOR_MS, PROBE_EXTRA_MS, STUN_RETRANSMITS_MS } from '../constants.js';
import { AwlError, ERROR_CODES, errorText } from '../errors.js';
import { type Logger, silentLogger } from '../log.js';
import type { RendezvousSettings } from '../rendezvous/registry.js';
import {
  PEER_KINDS,
  type PeerKind,
  type Prediction,
  predict,
  predictionWords,
  prospects,
  type SideReport,
  towardPlexus,
} from '../session/prediction.js';
import { type LookOptions, tryIpv6, tryPortMapping } from '../session/surroundings.js';
import { type Outcome, outcomeError } from '../stun/client.js';
import { advice, type Diagnosis, explain, type PortMappingState, type ServerState } from '../stun/explain.js';
import { type Probe, probe } from '../stun/probe.js';
import { resolveServer } from '../stun/resolve.js';
import { fitSchedule } from '../stun/schedule.js';
import { type Endpoint, formatEndpoint, sameEndpoint } from '../util/endpoint.js';
import { formatHostPort, type HostPort } from '../util/host-port.js';
import { deadline } from '../util/sleep.js';
import { UdpSocket } from '../util/udp.js';
import { REPORT_VERSION } from './doctor-report.js';
import { gravestStatus } from './exit-codes.js';
import { expandHome } from './input-file.js';
import { type Io, oneLine } from './io.js';
import { checkNode, type NodeCheckOptions, nodeCheckText } from './meepo/doctor.js';
import { checkAll, checkText } from './rendezvous-check.js';

export interface DoctorSettings {
  readonly servers: HostPort[];
  readonly bind: Endpoint;
  /** One JSON object instead of words. */
  readonly json: boolean;
  /** Each is tried as a session would. */
  readonly rendezvous?: readonly RendezvousSettings[];
  /** Ask the router for a port; default: yes. */
  readonly portMapping?: boolean;
  /** Where to write what `--json` prints, for the peer. */
  readonly reportFile?: string;
  /** What the peer's doctor found. */
  readonly peer?: SideReport;
  /** Look at what a Meepo node of this user needs, too. */
  readonly meepo?: NodeCheckOptions;
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
  const { servers, rendezvous = [], log = silentLogger, peer, reportFile, meepo } = settings;
  if (servers.length === 0 && rendezvous.length === 0 && !meepo) {
    throw new AwlError('USAGE_MISSING', 'awl doctor needs a STUN server', {
      hint: 'name one or two with --stun-server; --rendezvous and its options are tried, too, and --meepo looks at a node',
    });
  }
  if (peer && servers.length === 0) {
    throw new AwlError('USAGE_MISSING', '--peer-report means nothing without a STUN server', {
      hint: 'name one or two with --stun-server, so that the own side is known, too',
    });
  }
  const [diagnosis, checks, node] = await Promise.all([
    servers.length > 0 ? diagnose(settings, signal) : undefined,
    checkAll(rendezvous, log, signal),
    meepo ? checkNode(meepo) : [],
  ]);
  signal.throwIfAborted();
  const own = diagnosis && sideReport(diagnosis);
  const meeting = own && peer && predict(own, peer);
  if (diagnosis && reportFile !== undefined) writeReport(reportFile, toJson(diagnosis));
  if (settings.json) {
    const whole = {
      ...(diagnosis && toJson(diagnosis)),
      ...(meeting && { peer: meeting }),
      ...(checks.length > 0 && { rendezvous: checks }),
      ...(meepo && { meepo: node }),
    };
    io.stdout(`${JSON.stringify(whole)}\n`);
  } else {
    const text = diagnosis && explain(diagnosis, outlook(diagnosis));
    const nodeText = node.length > 0 && `Meepo node\n${nodeCheckText(node)}`;
    const parts = [text, meeting && meetingText(meeting), checkText(checks), nodeText].filter(Boolean);
    io.stdout(parts.join('\n'));
  }
  const unheard = diagnosis && !diagnosis.found;
  return Math.max(unheard ? ERROR_CODES.STUN_UNREACHABLE : 0, gravestStatus([...checks, ...node]));
}

/** What the prediction needs of a diagnosis. */
function sideReport({ report, found, portMapping, ipv6 }: Diagnosis): SideReport {
  return {
    nat: report,
    ...(found && { outer: found.endpoint }),
    ...(portMapping?.external && { mapped: portMapping.external }),
    ...(ipv6?.endpoint && { ipv6: ipv6.endpoint.address }),
  };
}

function outlook(diagnosis: Diagnosis) {
  if (!diagnosis.found) return [];
  const own = sideReport(diagnosis);
  const table = prospects(own);
  const kinds = (Object.keys(PEER_KINDS) as PeerKind[]).map((kind) => ({
    peer: PEER_KINDS[kind].words,
    outcome: table[kind] as string,
  }));
  const plexus = towardPlexus(own);
  return [
    ...kinds,
    { peer: 'a NAT that a plexus passes, when it invites', outcome: plexus.accept },
    { peer: 'the same, when this side invites', outcome: plexus.invite },
  ];
}

function meetingText(prediction: Prediction): string {
  return `${'With this peer'.padEnd(17)}${predictionWords(prediction)}\n`;
}

/** @throws AwlError FILE_WRITE */
function writeReport(file: string, report: object): void {
  try {
    // It names addresses of this network: for the peer, not for everybody on this machine.
    writeFileSync(expandHome(file), `${JSON.stringify(report, null, 1)}\n`, { mode: 0o600 });
  } catch (error) {
    throw new AwlError('FILE_WRITE', `cannot write --report ${oneLine(file)}: ${errorText(error)}`, {
      hint: 'its folder must exist and be writable',
      cause: error,
    });
  }
}

async function diagnose(settings: DoctorSettings, outer: AbortSignal): Promise<Diagnosis> {
  const { servers, bind, log = silentLogger } = settings;
  const begun = performance.now();
  const limit = deadline(DOCTOR_MS, () => new Error('out of time'), outer);
  const socket = await UdpSocket.bind(bind);
  const around = lookAround(settings, { bind, log, signal: limit.signal });
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
    const hops = measuring.hops();
    return {
      local: socket.local,
      ...(hops !== undefined && { hops }),
      ...(await around),
      ...(first && { found: { endpoint: first.mapped, server: first.server, ms: first.ms } }),
      report,
      servers: resolved.map((server) => stateOf(server, measuring)),
    };
  } finally {
    await around.catch(() => {});
    limit.dispose();
    await socket.close();
  }
}

async function lookAround({ servers, portMapping = true }: DoctorSettings, options: LookOptions) {
  const off: PortMappingState = { state: 'off' };
  const [mapping, ipv6] = await Promise.all([
    portMapping ? tryPortMapping(options) : off,
    tryIpv6(servers, options),
  ]);
  return { portMapping: mapping, ipv6 };
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
  const { found, local, report, servers, hops, portMapping, ipv6 } = diagnosis;
  const external = portMapping?.external;
  return {
    v: REPORT_VERSION,
    endpoint: found ? formatEndpoint(found.endpoint) : null,
    local: formatEndpoint(local),
    server: found ? formatEndpoint(found.server) : null,
    ms: found ? Math.round(found.ms) : null,
    report,
    hops: hops ?? null,
    portMapping: { ...portMapping, ...(external && { external: formatEndpoint(external) }) },
    ipv6: {
      address: ipv6?.address ?? null,
      endpoint: ipv6?.endpoint ? formatEndpoint(ipv6.endpoint) : null,
    },
    prospects: found ? prospects(sideReport(diagnosis)) : null,
    plexus: found ? towardPlexus(sideReport(diagnosis)) : null,
    servers,
    change: advice(diagnosis) ?? null,
    ...(!found && { code: 'STUN_UNREACHABLE' }),
  };
}
