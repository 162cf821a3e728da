import { PORT_FREE_MS, PORT_RETRY_MS } from '../constants.js';
import { AwlError, errorText } from '../errors.js';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import { sleep } from '../util/sleep.js';
import { UdpSocket } from '../util/udp.js';

function errno(error: unknown): string | undefined {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : undefined;
}

/**
 * Proves that the payload can bind this UDP endpoint, by binding it and letting go again. A port in use is tried
 * again for {@link PORT_FREE_MS}: our own socket may have been closed an instant ago.
 * @throws AwlError PAYLOAD_START naming the port, or the signal's reason
 */
export async function proveFree(endpoint: Endpoint, signal?: AbortSignal): Promise<void> {
  for (let waited = 0; ; waited += PORT_RETRY_MS) {
    signal?.throwIfAborted();
    try {
      const socket = await UdpSocket.bind(endpoint);
      await socket.close();
      return;
    } catch (error) {
      const inUse = errno(error) === 'EADDRINUSE';
      if (inUse && waited < PORT_FREE_MS) {
        await sleep(PORT_RETRY_MS, signal);
        continue;
      }
      throw new AwlError(
        'PAYLOAD_START',
        inUse
          ? `UDP ${formatEndpoint(endpoint)} is in use, so the program could not bind it`
          : `UDP ${formatEndpoint(endpoint)} cannot be bound for the program: ${errorText(error)}`,
        {
          hint: inUse
            ? `see who holds it with "ss -ulpn", or let awl choose a free port with port 0`
            : 'the address must belong to this machine for as long as the passage is used',
          cause: error,
        },
      );
    }
  }
}
