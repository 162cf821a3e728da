import { createServer } from 'node:net';
import { PORT_FREE_MS, PORT_RETRY_MS } from '../constants.js';
import { AwlError, errorText } from '../errors.js';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import { sleep } from '../util/sleep.js';
import { UdpSocket } from '../util/udp.js';

function errno(error: unknown): string | undefined {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : undefined;
}

async function bindUdpOnce(endpoint: Endpoint): Promise<void> {
  const socket = await UdpSocket.bind(endpoint);
  await socket.close();
}

/** Rejects with an error whose cause is the system's, as a UDP socket does. */
function bindTcpOnce({ address, port }: Endpoint): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (cause) => reject(new Error(errorText(cause), { cause })));
    server.listen({ host: address, port, exclusive: true }, () => server.close(() => resolve()));
  });
}

/**
 * Proves that the payload can bind this endpoint, by binding it and letting go again. A port in use is tried
 * again for {@link PORT_FREE_MS}: our own socket may have been closed an instant ago.
 * @throws AwlError PAYLOAD_START naming the port, or the signal's reason
 */
export async function proveFree(
  endpoint: Endpoint,
  signal?: AbortSignal,
  transport: 'udp' | 'tcp' = 'udp',
): Promise<void> {
  const name = `${transport.toUpperCase()} ${formatEndpoint(endpoint)}`;
  for (let waited = 0; ; waited += PORT_RETRY_MS) {
    signal?.throwIfAborted();
    try {
      if (transport === 'tcp') await bindTcpOnce(endpoint);
      else await bindUdpOnce(endpoint);
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
          ? `${name} is in use, so the program could not bind it`
          : `${name} cannot be bound for the program: ${errorText(error)}`,
        {
          hint: inUse
            ? `see who holds it with "ss -${transport === 'tcp' ? 't' : 'u'}lpn", or let awl choose a free port with port 0`
            : 'the address must belong to this machine for as long as the passage is used',
          cause: error,
        },
      );
    }
  }
}
