import { createSocket } from 'node:dgram';
import { decodeSearchAnswer, encodeSearch } from '../../wire/upnp.js';
import { routerUrl } from './http.js';
import { SSDP_GROUP, SSDP_MS, SSDP_PORT, SSDP_SENDS_MS, STRAY_MAX } from './limits.js';
import type { Gateway } from './mapper.js';

/**
 * Asks the network for an Internet gateway, and the gateway itself, and takes the first answer that comes from the
 * gateway's address and names a place there.
 * @throws Error when nobody answered within SSDP_MS, or STRAY_MAX others; the signal's reason
 */
export function searchGateway({ gateway, local }: Gateway, signal: AbortSignal): Promise<URL> {
  const socket = createSocket('udp4');
  const timers: NodeJS.Timeout[] = [];
  let onAbort = () => {};
  return new Promise<URL>((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    let strays = 0;
    socket.on('error', reject);
    socket.on('message', (data, from) => {
      const location = from.address === gateway ? decodeSearchAnswer(data) : undefined;
      const url = location === undefined ? undefined : routerUrl(location, gateway);
      if (url) resolve(url);
      else if (++strays >= STRAY_MAX) reject(new Error('too many answers from others'));
    });
    const send = (to: string) => socket.send(encodeSearch(to), SSDP_PORT, to, () => {});
    socket.bind(0, local, () => {
      socket.setMulticastInterface(local);
      socket.setMulticastTTL(2);
      timers.push(setTimeout(() => reject(new Error('nobody answers the search')), SSDP_MS));
      for (const ms of SSDP_SENDS_MS) {
        timers.push(
          setTimeout(() => {
            send(SSDP_GROUP);
            send(gateway);
          }, ms),
        );
      }
    });
  }).finally(() => {
    for (const timer of timers) clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    socket.removeAllListeners('message').on('error', () => {});
    socket.close();
  });
}
