import { createSocket, type Socket } from 'node:dgram';
import { isIP } from 'node:net';
import type { Logger } from '../log.js';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import {
  TUNNEL_DATAGRAM_BYTES,
  TUNNEL_FLOW_IDLE_MS,
  TUNNEL_FLOW_QUEUE,
  TUNNEL_FLOWS_MAX,
} from '../wire/tunnel-limits.js';
import { formatTarget, type TunnelTarget } from '../wire/tunnel-target.js';
import { bindError, type Listener } from './listener.js';
import type { ChannelHandler } from './mux.js';
import type { Tunnel } from './tunnel.js';

interface Flow {
  readonly id: number;
  readonly idle: NodeJS.Timeout;
  readonly unsubscribe: () => void;
  /** Datagrams that wait for the peer's consent; undefined once it is there. */
  waiting: Buffer[] | undefined;
}

/**
 * Listens for datagrams of local programs. Each source address becomes a flow, a channel that carries datagrams
 * only, so that answers return to the program that asked.
 * @throws AwlError TUNNEL_BIND
 */
export async function listenForFlows(
  tunnel: Tunnel,
  local: Endpoint,
  target: TunnelTarget,
  log: Logger,
): Promise<Listener> {
  const socket = await bound(local);
  const flows = new Map<string, Flow>();
  const name = formatTarget(target);
  let warned = false;

  const forget = (key: string, tell: boolean) => {
    const flow = flows.get(key);
    if (!flow) return;
    flows.delete(key);
    clearTimeout(flow.idle);
    flow.unsubscribe();
    if (tell) tunnel.mux.reset(flow.id);
  };
  const send = (id: number, payload: Buffer) => {
    if (tunnel.sendDatagram(id, payload) || payload.length <= TUNNEL_DATAGRAM_BYTES || warned) return;
    warned = true;
    log.warning(
      `${name}: a datagram of ${payload.length} bytes does not fit; the most is ${TUNNEL_DATAGRAM_BYTES} (lower the MTU inside)`,
    );
  };
  const begin = (key: string, from: Endpoint): Flow | undefined => {
    // A new source is worth more than the one that was silent for longest: the first in the map.
    if (flows.size >= TUNNEL_FLOWS_MAX) forget(flows.keys().next().value ?? '', true);
    const handler: ChannelHandler = {
      accepted: () => {
        const flow = flows.get(key);
        for (const payload of flow?.waiting ?? []) send(flow?.id ?? 0, payload);
        if (flow) flow.waiting = undefined;
      },
      refused: (reason) => {
        log.warning(`${name}: the peer says: ${reason}`);
        forget(key, false);
      },
      data() {},
      credit() {},
      ended: () => forget(key, true),
      reset: () => forget(key, false),
    };
    const id = tunnel.mux.open(name, handler, true);
    if (id === undefined) return undefined;
    const flow: Flow = {
      id,
      idle: setTimeout(() => forget(key, true), TUNNEL_FLOW_IDLE_MS),
      unsubscribe: tunnel.onDatagrams(id, (payload) => {
        flow.idle.refresh();
        socket.send(payload, from.port, from.address, () => {});
      }),
      waiting: [],
    };
    flows.set(key, flow);
    return flow;
  };

  socket.on('message', (payload, { address, port }) => {
    const key = `${address} ${port}`;
    const flow = flows.get(key) ?? begin(key, { address, port });
    if (!flow) return;
    flow.idle.refresh();
    flows.delete(key);
    flows.set(key, flow);
    if (!flow.waiting) send(flow.id, payload);
    else if (flow.waiting.length < TUNNEL_FLOW_QUEUE) flow.waiting.push(payload);
  });
  socket.on('error', () => {});
  const at = socket.address();
  return {
    at: formatEndpoint({ address: at.address, port: at.port }),
    close: async () => {
      for (const key of [...flows.keys()]) forget(key, true);
      await new Promise<void>((resolve) => socket.close(() => resolve()));
    },
  };
}

function bound(local: Endpoint): Promise<Socket> {
  const socket = createSocket(isIP(local.address) === 6 ? 'udp6' : 'udp4');
  return new Promise((resolve, reject) => {
    const onError = (cause: Error) => {
      socket.close();
      reject(bindError(local, cause));
    };
    socket.once('error', onError);
    socket.bind(local.port, local.address, () => {
      socket.off('error', onError);
      resolve(socket);
    });
  });
}
