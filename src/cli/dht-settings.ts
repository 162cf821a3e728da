import { HYPERDHT_PORT, OPENDHT_PORT } from '../constants.js';
import { AwlError } from '../errors.js';
import type { RendezvousSettings } from '../rendezvous/registry.js';
import type { HostPort } from '../util/host-port.js';
import { badValue } from './source.js';
import type { OptionValues } from './values.js';

export type DhtName = 'hyperdht' | 'opendht';

/** plexus' default node (spec a.1). */
const OPENDHT_PUBLIC: HostPort = { host: 'bootstrap.jami.net', port: OPENDHT_PORT };

/**
 * Which DHT is meant where none is typed: by network id, else by the ports of `--dht-bootstrap`; with any other port,
 * or none, it may be either.
 */
export function impliedDhts(values: OptionValues): DhtName[] {
  if (values.given('dht-network')) return ['opendht'];
  const ports = values.servers('dht-bootstrap').map(({ port }) => port);
  if (ports.length === 0) return ['hyperdht'];
  if (ports.every((port) => port === OPENDHT_PORT)) return ['opendht'];
  if (ports.every((port) => port === HYPERDHT_PORT)) return ['hyperdht'];
  return ['hyperdht', 'opendht'];
}

/**
 * Settings of one DHT.
 * @param alone whether it is the only one: two cannot share `--dht-port`
 * @throws AwlError USAGE_BAD_VALUE, USAGE_CONFLICT
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
  const standard = name === 'opendht' ? OPENDHT_PORT : HYPERDHT_PORT;
  const bootstrap = values.servers('dht-bootstrap').map((node) => ({ ...node, port: node.port || standard }));
  if (name === 'opendht') {
    const nodes = bootstrap.length > 0 ? bootstrap : [OPENDHT_PUBLIC];
    return { name, opendht: { bootstrap: nodes, port, network: values.number('dht-network') ?? 0, tokens } };
  }
  if (alone && values.given('dht-network')) {
    throw new AwlError('USAGE_CONFLICT', '--rendezvous=hyperdht and --dht-network exclude each other', {
      hint: 'network ids are OpenDHT’s; a HyperDHT network of your own is told by its --dht-bootstrap',
    });
  }
  return { name, hyperdht: { ...(bootstrap.length > 0 && { bootstrap }), ...(port !== 0 && { port }) } };
}
