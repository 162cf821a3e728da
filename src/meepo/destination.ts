import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { AwlError } from '../errors.js';
import { splitAddress } from '../wire/acl.js';
import { normaliseHost } from '../wire/acl-address.js';
import type { Place } from './access.js';

function badAddress(text: string): AwlError {
  return new AwlError('USAGE_BAD_VALUE', `invalid address ${JSON.stringify(text.slice(0, 80))}`, {
    hint: 'write HOST:PORT, [IPv6]:PORT or :PORT',
  });
}

/** `HOST:PORT`, `[IPv6]:PORT` or `:PORT`. @throws AwlError USAGE_BAD_VALUE */
export function parsePlace(network: string, text: string): Place {
  const parts = text.length > 300 ? undefined : splitAddress(text);
  if (!parts || !/^\d{1,5}$/.test(parts.port) || Number(parts.port) > 65_535) throw badAddress(text);
  return { network, host: parts.host, port: Number(parts.port) };
}

/** `HOST:PORT` again, as Go writes it. */
export function formatPlace({ host, port }: Place): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * What will be dialled: names are looked up here, and an address that means this machine is written as loopback, so
 * that rules see where a connection ends, not how somebody spelled it.
 * @throws AwlError USAGE_BAD_VALUE, MEEPO_UNAVAILABLE
 */
export async function resolveDestination(network: string, text: string): Promise<Place> {
  const place = parsePlace(network, text);
  if (place.port === 0) throw badAddress(text);
  const known = normaliseHost(place.host);
  if (isIP(known)) return { ...place, host: known };
  try {
    const { address } = await lookup(place.host, { verbatim: false });
    return { ...place, host: normaliseHost(address) };
  } catch (cause) {
    throw new AwlError('MEEPO_UNAVAILABLE', `lookup ${place.host.slice(0, 80)}: no such host`, { cause });
  }
}
