import { createSocket } from 'node:dgram';
import { networkInterfaces } from 'node:os';

/** Documentation addresses (RFC 5737, RFC 3849): routed like any other, and nothing is ever sent there. */
const SOMEWHERE = { 4: '192.0.2.1', 6: '2001:db8::1' } as const;

const LOOPBACK = { 4: '127.0.0.1', 6: '::1' } as const;

/** Addresses of this machine's interfaces. */
export function localAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
}

/** {@link outboundAddress} of both families; a family without a route is left out. */
export async function outboundAddresses(): Promise<{ readonly v4?: string; readonly v6?: string }> {
  const [v4, v6] = await Promise.all([outboundAddress(4), outboundAddress(6)]);
  return { ...(v4 !== LOOPBACK[4] && { v4 }), ...(v6 !== LOOPBACK[6] && { v6 }) };
}

/**
 * The address this machine would send from to the outside: connecting a UDP socket asks the routing table and
 * sends nothing. Loopback if there is no route.
 */
export function outboundAddress(family: 4 | 6): Promise<string> {
  return new Promise((resolve) => {
    const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
    const done = (address: string) => {
      socket.removeAllListeners();
      socket.close();
      resolve(address);
    };
    socket.once('error', () => done(LOOPBACK[family]));
    socket.connect(9, SOMEWHERE[family], () => done(socket.address().address));
  });
}
