import { createSocket, type Socket, type SocketOptions } from 'node:dgram';
import { isIP } from 'node:net';
import type { Logger } from '../log.js';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import { formatTarget, type TunnelTarget } from '../wire/tunnel-target.js';
import { Flows } from './flows.js';
import type { Gate } from './gate.js';
import { bindError, type Listener } from './listener.js';

/**
 * Listens for datagrams of local programs. Each source address becomes a flow, a channel that carries datagrams
 * only, so that answers return to the program that asked. While there is no path datagrams are dropped.
 * @throws AwlError TUNNEL_BIND
 */
export async function listenForFlows(
  gate: Gate,
  local: Endpoint,
  target: TunnelTarget,
  log: Logger,
): Promise<Listener> {
  const socket = await bindDatagrams(local);
  const name = formatTarget(target);
  let flows: Flows | undefined;
  socket.on('message', (payload, { address, port }) => {
    const { tunnel } = gate;
    if (!tunnel) return;
    if (flows?.tunnel !== tunnel) {
      flows?.close();
      flows = new Flows(tunnel, log.child(name));
    }
    flows.send(`${address} ${port}`, payload, () => ({
      target: name,
      deliver: (answer) => socket.send(answer, port, address, () => {}),
    }));
  });
  const at = socket.address();
  return {
    at: `udp:${formatEndpoint({ address: at.address, port: at.port })}`,
    close: async () => {
      flows?.close();
      await new Promise<void>((resolve) => socket.close(() => resolve()));
    },
  };
}

/** Answers go to addresses, which Node would look up, later, for each datagram. */
const asItIs: NonNullable<SocketOptions['lookup']> = (address, options, found) =>
  found(null, address, options.family === 6 ? 6 : 4);

/**
 * A UDP socket for local programs; errors of single datagrams are nobody's.
 * @throws AwlError TUNNEL_BIND
 */
export function bindDatagrams(local: Endpoint): Promise<Socket> {
  const type = isIP(local.address) === 6 ? 'udp6' : 'udp4';
  const socket = createSocket({ type, lookup: asItIs });
  return new Promise((resolve, reject) => {
    const onError = (cause: Error) => {
      socket.close();
      reject(bindError(local, cause));
    };
    socket.once('error', onError);
    socket.bind(local.port, local.address, () => {
      socket.off('error', onError).on('error', () => {});
      resolve(socket);
    });
  });
}
