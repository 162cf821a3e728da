import { StunServer } from '../stun/server.js';
import { formatEndpoint } from '../util/endpoint.js';
import { untilAborted } from '../util/sleep.js';
import type { Io } from './io.js';

export interface StunServerArgs {
  /** One or two addresses of this machine. */
  readonly listen: string[];
  readonly port: number;
  readonly altPort: number;
}

/**
 * `awl stun-server`: serves until the signal aborts; one line on standard error when it is ready.
 * Resolves to the exit status.
 * @throws AwlError USAGE_BAD_VALUE, UDP_BIND
 */
export async function runStunServer(
  args: StunServerArgs,
  io: Pick<Io, 'stderr'>,
  signal: AbortSignal,
): Promise<number> {
  const server = await StunServer.start({ addresses: args.listen, port: args.port, altPort: args.altPort });
  try {
    const { addresses, port, altPort } = server.layout;
    const places = addresses.flatMap((address) =>
      [port, altPort].map((each) => formatEndpoint({ address, port: each })),
    );
    const limits = addresses.length === 1 ? ' (one address: it cannot tell filtering apart)' : '';
    io.stderr(`STUN server ready on ${places.join(' ')}${limits}\n`);
    await untilAborted(signal);
    return 0;
  } finally {
    await server.close();
  }
}
