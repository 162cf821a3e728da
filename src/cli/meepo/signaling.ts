import { AwlError } from '../../errors.js';
import type { Logger } from '../../log.js';
import type { MeepoConfig } from '../../meepo/config.js';
import { parseRedisUrl, type RedisPlace } from '../../rendezvous/meepo/place.js';
import type { Rendezvous } from '../../rendezvous/types.js';
import type { HostPort } from '../../util/host-port.js';

/** How a node of this configuration signals. */
export type SignalingChoice =
  | { readonly redis: RedisPlace }
  /** Nodes to enter the DHT by; none means the public ones. */
  | { readonly hyperdht: { readonly bootstrap?: HostPort[] } };

/**
 * Redis where the file names a URL of one; else HyperDHT, which needs no server.
 * @param given top-level keys that the file has: the real one's default server is somebody else's
 * @throws AwlError USAGE_BAD_VALUE, CONFIG_SYNTAX
 */
export function signalingOf({ signaling }: MeepoConfig, given: ReadonlySet<string>): SignalingChoice {
  const url = given.has('signaling') ? (signaling?.url ?? '') : '';
  if (url !== '' && !url.startsWith('hyperdht:')) return { redis: parseRedisUrl(url) };
  return { hyperdht: dhtNodes(url) };
}

/** Opens what a node signals over. */
export async function openSignaling(
  choice: SignalingChoice,
  log: Logger,
): Promise<{ readonly redis: RedisPlace } | { readonly letters: Rendezvous }> {
  if ('redis' in choice) return choice;
  const { openRendezvous } = await import('../../rendezvous/registry.js');
  const context = { log, now: () => new Date() };
  return { letters: await openRendezvous({ name: 'hyperdht', hyperdht: choice.hyperdht }, context) };
}

/** Nodes of `hyperdht://HOST:PORT[,HOST:PORT]`. */
function dhtNodes(url: string): { bootstrap?: HostPort[] } {
  const list = url.replace(/^hyperdht:(\/\/)?/, '');
  if (list === '') return {};
  const bootstrap = list.split(',').map((text) => {
    const [, host, port] = /^([\w.-]+|\[[0-9a-f:]+\]):(\d{1,5})\/?$/i.exec(text) ?? [];
    if (host !== undefined) return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) };
    throw new AwlError('CONFIG_SYNTAX', 'signaling.url names no nodes of a HyperDHT', {
      hint: 'write hyperdht://HOST:PORT[,HOST:PORT]; awl hub runs such a node',
    });
  });
  return { bootstrap };
}
