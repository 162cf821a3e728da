import { readFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { endianness } from 'node:os';
import type { Interfaces } from '../host-addresses.js';

const ROUTES = '/proc/net/route';
/** RTF_UP and RTF_GATEWAY of linux/route.h. */
const UP = 0x1;
const VIA_GATEWAY = 0x2;

/**
 * The default gateway in the text of Linux' /proc/net/route: of several the one with the lowest metric. Columns: Iface,
 * Destination, Gateway, Flags, RefCnt, Use, Metric, Mask, ...; addresses are hexadecimal, in host byte order.
 */
export function defaultGateway(routes: string, littleEndian = true): string | undefined {
  let best: { readonly gateway: string; readonly metric: number } | undefined;
  for (const line of routes.split('\n').slice(1)) {
    const [, destination, gateway = '', flags = '', , , metric = '', mask] = line.trim().split(/\s+/);
    const bits = Number.parseInt(flags, 16);
    if (destination !== '00000000' || mask !== '00000000' || (bits & UP) === 0 || (bits & VIA_GATEWAY) === 0)
      continue;
    if (!/^[0-9A-Fa-f]{8}$/.test(gateway)) continue;
    const bytes = Buffer.from(gateway, 'hex');
    const found = { gateway: (littleEndian ? bytes.reverse() : bytes).join('.'), metric: Number(metric) };
    if (!best || found.metric < best.metric) best = found;
  }
  return best?.gateway;
}

/** Where no routing table can be read: the first address of the own network, where most home routers are. */
export function guessGateway(interfaces: Interfaces, outbound: string): string | undefined {
  for (const list of Object.values(interfaces)) {
    const own = list?.find(({ address }) => address === outbound);
    if (!own || !isIPv4(own.address) || !isIPv4(own.netmask)) continue;
    const mask = own.netmask.split('.').map(Number);
    const network = own.address.split('.').map((part, i) => Number(part) & (mask[i] ?? 255));
    const first = [...network.slice(0, 3), (network[3] ?? 0) | 1].join('.');
    return first === outbound ? undefined : first;
  }
  return undefined;
}

/** This machine's default IPv4 gateway, as far as it can be known without starting a program. */
export async function findGateway(interfaces: Interfaces, outbound: string): Promise<string | undefined> {
  try {
    return defaultGateway(await readFile(ROUTES, 'latin1'), endianness() === 'LE');
  } catch {
    return guessGateway(interfaces, outbound);
  }
}
