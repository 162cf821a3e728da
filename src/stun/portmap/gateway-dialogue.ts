import { createSocket } from 'node:dgram';
import { GATEWAY_RETRANSMITS_MS, PCP_PORT, STRAY_MAX } from './limits.js';
import type { Gateway } from './mapper.js';

/**
 * One question to the router's port 5351, and the first answer that `read` takes. The socket is connected: the kernel drops
 * what others send, and a router without such a port says so at once (ICMP) instead of being waited for.
 * @throws Error if nobody is there; the signal's reason
 */
export function askGateway<T>(
  { gateway }: Pick<Gateway, 'gateway'>,
  request: Buffer,
  read: (data: Buffer) => T | undefined,
  signal: AbortSignal,
): Promise<T> {
  const socket = createSocket('udp4');
  let timer: NodeJS.Timeout | undefined;
  let onAbort = () => {};
  return new Promise<T>((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    let strays = 0;
    socket.on('error', reject);
    socket.on('message', (data) => {
      const answer = read(data);
      if (answer !== undefined) resolve(answer);
      else if (++strays >= STRAY_MAX) reject(new Error(`${gateway} answers something else`));
    });
    const transmit = (attempt: number) => {
      const wait = GATEWAY_RETRANSMITS_MS[attempt];
      if (wait === undefined) return reject(new Error(`${gateway} does not answer`));
      socket.send(request, (error) => error && reject(error));
      timer = setTimeout(transmit, wait, attempt + 1);
    };
    socket.connect(PCP_PORT, gateway, () => transmit(0));
  }).finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    // Closing may come before the connect's callback, which then must find somebody to tell.
    socket.removeAllListeners('message').on('error', () => {});
    socket.close();
  });
}
