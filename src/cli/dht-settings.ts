import { HYPERDHT_PORT, OPENDHT_PORT } from '../constants.js';
import type { RendezvousSettings } from '../rendezvous/registry.js';
import type { HostPort } from '../util/host-port.js';
import { badValue } from './source.js';
import type { OptionValues } from './values.js';

export type DhtName = 'hyperdht' | 'opendht';

/** plexus' default node (spec a.1). */
const OPENDHT_PUBLIC: HostPort = { host: 'bootstrap.jami.net', port: OPENDHT_PORT };

const PORTS: Readonly<Record<DhtName, number>> = { hyperdht: HYPERDHT_PORT, opendht: OPENDHT_PORT };
const DHTS = Object.keys(PORTS) as readonly DhtName[];

/**
 * Which DHT is meant where none is typed: by network id, else by the ports of `--dht-bootstrap`; with no port that
 * belongs to one, it may be either.
 */
export function impliedDhts(values: OptionValues): readonly DhtName[] {
  if (values.given('dht-network')) return ['opendht'];
  const nodes = values.servers('dht-bootstrap');
  if (nodes.length === 0) return ['hyperdht'];
  const told = DHTS.filter((name) => nodes.some(({ port }) => port === PORTS[name]));
  return told.length > 0 ? told : DHTS;
}

/** The nodes of one DHT; beside the other one, what has that one's port is not asked. */
function nodesOf(values: OptionValues, name: DhtName, alone: boolean): HostPort[] {
  const others = DHTS.filter((other) => other !== name).map((other) => PORTS[other]);
  return values
    .servers('dht-bootstrap')
    .filter(({ port }) => alone || !others.includes(port))
    .map((node) => ({ ...node, port: node.port || PORTS[name] }));
}

/**
 * Settings of one DHT.
 * @param alone whether it is the only one: two cannot share `--dht-port`
 * @throws AwlError USAGE_BAD_VALUE, CONFIG_SYNTAX
 */
export function dhtSettings(
  values: OptionValues,
  name: DhtName,
  alone: boolean,
  tokens: { readonly invite: string; readonly accept: string },
): RendezvousSettings {
  const port = values.number('dht-port') ?? 0;
  if (!alone && port !== 0) {
    const source = values.written('dht-port').at(-1)?.source ?? { kind: 'argv', as: 'dht-port' };
    throw badValue(source, 'cannot serve two DHTs', 'name one with --rendezvous=hyperdht or opendht');
  }
  const bootstrap = nodesOf(values, name, alone);
  if (name === 'opendht') {
    const nodes = bootstrap.length > 0 ? bootstrap : [OPENDHT_PUBLIC];
    return { name, opendht: { bootstrap: nodes, port, network: values.number('dht-network') ?? 0, tokens } };
  }
  return { name, hyperdht: { ...(bootstrap.length > 0 && { bootstrap }), ...(port !== 0 && { port }) } };
}
