import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import type { Filtering, Mapping, NatReport } from '../wire/nat-report.js';

/** What became of one STUN server that the user named. */
export interface ServerState {
  /** As the user typed it. */
  readonly name: string;
  readonly state: 'answered' | 'silent' | 'refused' | 'unresolved';
  /** Why not, in words. */
  readonly detail?: string;
}

/** Everything `awl doctor` found out. */
export interface Diagnosis {
  readonly local: Endpoint;
  /** Own public endpoint, who told, and after how many milliseconds. */
  readonly found?: { readonly endpoint: Endpoint; readonly server: Endpoint; readonly ms: number };
  readonly report: NatReport;
  readonly servers: readonly ServerState[];
  /** Smallest TTL that was seen to leave the NATs. */
  readonly hops?: number;
  /** What became of asking the router for a port. */
  readonly portMapping?: PortMappingState;
  readonly ipv6?: Ipv6State;
}

export interface PortMappingState {
  readonly state: 'mapped' | 'refused' | 'none' | 'off';
  /** How the router was asked, where it is, what it calls itself, and the port that it gave. */
  readonly protocol?: 'pcp' | 'nat-pmp' | 'upnp';
  readonly gateway?: string;
  readonly router?: string;
  readonly external?: Endpoint;
  /** Why it is of no use, as a sentence. */
  readonly problem?: string;
}

export interface Ipv6State {
  /** A global address of this machine, if it has one. */
  readonly address?: string;
  /** Where a STUN server saw us. */
  readonly endpoint?: Endpoint;
}

/** One row of the table: a kind of peer, and how it would be reached. */
export interface Outlook {
  readonly peer: string;
  readonly outcome: string;
}

const MAPPING_WORDS: Readonly<Record<Mapping, string>> = {
  'endpoint-independent': 'one public endpoint whoever you talk to: peers can be told where you are',
  'address-dependent':
    'another public endpoint for every host: peers cannot be told where you are (symmetric)',
  'address-and-port-dependent':
    'another public endpoint for every destination: peers cannot be told where you are (symmetric)',
  'not-measured': 'whether all destinations see the same endpoint is unknown',
};

const FILTERING_WORDS: Readonly<Record<Filtering, string>> = {
  'endpoint-independent': 'lets anyone in once you have sent anything out',
  'address-dependent': 'lets a host in once you have sent to it, from any of its ports',
  'address-and-port-dependent': 'lets in only the exact address and port that you have sent to',
  'not-measured': 'whom it lets in is unknown',
};

function isSymmetric({ mapping }: NatReport): boolean {
  return mapping === 'address-dependent' || mapping === 'address-and-port-dependent';
}

/** The one thing to change, or undefined if nothing is wrong. */
export function advice(diagnosis: Diagnosis): string | undefined {
  const { found, report, servers } = diagnosis;
  const failed = servers.filter(({ state }) => state !== 'answered');
  const [bad] = failed;
  if (!found) return adviceWithoutEndpoint(servers);
  // A router that forwards ports, and IPv6 where the peer has it, make up for a symmetric NAT.
  if (isSymmetric(report) && diagnosis.portMapping?.state !== 'mapped') {
    const port = diagnosis.local.port;
    return `forward UDP port ${port} to this machine in your router and use it with --stun-client=${formatEndpoint(diagnosis.local)}; if the provider does the NAT, ask for a public address`;
  }
  if (bad) return `replace ${bad.name} in --stun-server: it ${failure(bad)}`;
  if (report.mapping === 'not-measured') {
    return servers.length < 2
      ? 'name a second STUN server (--stun-server=FIRST,SECOND): one alone cannot tell what the NAT does'
      : 'name other STUN servers in --stun-server: what these say does not fit together, or is too little';
  }
  return undefined;
}

function adviceWithoutEndpoint(servers: readonly ServerState[]): string {
  const names = servers.map(({ name }) => name).join(', ');
  const refused = servers.find(({ state }) => state === 'refused');
  if (servers.every(({ state }) => state === 'unresolved')) {
    return `check the spelling of ${names} and that name resolution works here, or give the server's IP address`;
  }
  if (refused) return `choose another server than ${refused.name} in --stun-server: it ${failure(refused)}`;
  return servers.length < 2
    ? `name a second STUN server (--stun-server=${names},SECOND): if that is silent too, UDP is blocked here`
    : 'let UDP out of this network (firewall or router): no server answered, so it seems to be blocked';
}

function failure({ state, detail }: ServerState): string {
  if (state === 'silent') return 'did not answer';
  return detail ?? (state === 'refused' ? 'refused' : 'has no address');
}

/**
 * The diagnosis for a person: facts, what they mean for connecting, and at most one thing to change.
 * @param outlook how peers behind other NATs would be reached
 */
export function explain(diagnosis: Diagnosis, outlook: readonly Outlook[] = []): string {
  const { found, report, servers, local, hops, portMapping, ipv6 } = diagnosis;
  const lines: string[] = [];
  const row = (label: string, text: string) => lines.push(`${label.padEnd(17)}${text}`);
  if (found) {
    const by = `${formatEndpoint(found.server)} after ${Math.round(found.ms)} ms`;
    row('Public endpoint', `${formatEndpoint(found.endpoint)} (seen by ${by})`);
    row('Local endpoint', formatEndpoint(local));
    row('NAT', natWords(report));
    row('Mapping', `${words(report.mapping)}: ${MAPPING_WORDS[report.mapping]}`);
    row('Filtering', `${words(report.filtering)}: ${FILTERING_WORDS[report.filtering]}`);
    row('Hairpin', hairpinWords(report));
    if (hops !== undefined) row('NAT distance', `datagrams with a TTL of ${hops} leave it`);
  } else {
    row('Public endpoint', 'not found: no STUN server answered');
    row('Local endpoint', formatEndpoint(local));
  }
  for (const [i, server] of servers.entries()) {
    const text = server.state === 'answered' ? 'answered' : failure(server);
    row(i === 0 ? 'STUN servers' : '', `${server.name} ${text}`);
  }
  if (portMapping) row('Port mapping', mappingWords(portMapping));
  if (ipv6) row('IPv6', ipv6Words(ipv6));
  if (outlook.length > 0) lines.push('', 'Against a peer behind');
  for (const { peer, outcome } of outlook) lines.push(`  ${peer.padEnd(48)}${outcome}`);
  const change = advice(diagnosis);
  lines.push('', change === undefined ? 'Nothing to change.' : `To change: ${change}.`);
  return `${lines.join('\n')}\n`;
}

function words(value: string): string {
  return value.replace('not-measured', 'not measured');
}

function natWords(report: NatReport): string {
  if (report.nat === 'not-measured') return 'not measured';
  if (report.nat === 'no') {
    return report.filtering === 'address-and-port-dependent' || report.filtering === 'address-dependent'
      ? 'none, but a firewall'
      : 'none: this machine has a public address';
  }
  if (report.portPreservation === 'yes') return 'yes, it keeps port numbers';
  const step = report.portStep === undefined ? '' : `, in steps of ${report.portStep}`;
  return `yes, it changes port numbers${step}`;
}

function hairpinWords({ hairpin, nat }: NatReport): string {
  if (hairpin === 'yes') return 'yes: machines behind this NAT reach each other by public endpoint';
  if (hairpin === 'no') return 'no: machines behind this NAT do not reach each other by public endpoint';
  return nat === 'no' ? 'no NAT, so none' : 'not measured';
}

const PROTOCOLS = { pcp: 'PCP', 'nat-pmp': 'NAT-PMP', upnp: 'UPnP' } as const;

function mappingWords({ state, protocol, gateway, router, external, problem }: PortMappingState): string {
  if (state === 'off') return 'not tried: --port-mapping=off';
  if (state === 'none')
    return `no: ${problem ?? 'no router here forwards ports (PCP, NAT-PMP and UPnP were tried)'}`;
  if (state === 'refused') return `no: ${problem ?? 'the router does not'}`;
  const by = `by ${protocol ? PROTOCOLS[protocol] : 'an unknown protocol'}`;
  const who = router === undefined ? 'the router' : `the router "${router}"`;
  return `yes, ${by}: ${who} at ${gateway} forwarded ${external ? formatEndpoint(external) : 'a port'}, and took it back`;
}

function ipv6Words({ address, endpoint }: Ipv6State): string {
  if (endpoint) return `yes, ${formatEndpoint(endpoint)}: peers that have it, too, need no way through a NAT`;
  return address === undefined ? 'no' : `${address}, not tested: none of the STUN servers answered over IPv6`;
}
