import { createSocket, type Socket } from 'node:dgram';
import { isIP } from 'node:net';
import { errorText } from '../errors.js';
import { TUNNEL_DIAL_MS, TUNNEL_FLOW_IDLE_MS, TUNNEL_FLOW_QUEUE } from '../wire/tunnel-limits.js';
import type { ChannelHandler } from './mux.js';
import type { Tunnel } from './tunnel.js';

/** Addresses of a host that may be used; rejects with an error whose code is the reason to refuse. */
export type Find = (host: string, signal: AbortSignal) => Promise<readonly string[]>;

/** Where the datagrams of a flow go, and who is told if they cannot. */
export interface FlowTarget {
  readonly host: string;
  readonly port: number;
  readonly find: Find;
  readonly refuse: (reason: string) => void;
}

/**
 * One UDP source of the importing side: a connected socket of its own here, so that answers find their way and
 * nobody else's datagrams do. Ends after a time without traffic.
 */
export function serveFlow(tunnel: Tunnel, id: number, target: FlowTarget): ChannelHandler {
  let socket: Socket | undefined;
  let over = false;
  const early: Buffer[] = [];
  const idle = setTimeout(() => close(true), TUNNEL_FLOW_IDLE_MS);
  const unsubscribe = tunnel.onDatagrams(id, (payload) => {
    idle.refresh();
    if (socket) socket.send(payload, () => {});
    else if (early.length < TUNNEL_FLOW_QUEUE) early.push(payload);
  });
  const close = (tell: boolean) => {
    if (over) return;
    over = true;
    clearTimeout(idle);
    unsubscribe();
    socket?.close();
    if (tell) tunnel.mux.reset(id);
  };
  void tunnel.closed.then(
    () => close(false),
    () => close(false),
  );
  void open(target).then(
    (opened) => {
      if (over) {
        opened.close();
        return;
      }
      socket = opened;
      opened.on('message', (payload) => {
        idle.refresh();
        tunnel.sendDatagram(id, payload);
      });
      // ICMP: nobody listens there now. The flow stays, as a UDP service may come back.
      opened.on('error', () => {});
      tunnel.mux.accept(id, true);
      for (const payload of early.splice(0)) opened.send(payload, () => {});
    },
    (error: NodeJS.ErrnoException) => {
      target.refuse(error.code ?? errorText(error));
      close(false);
    },
  );
  return {
    accepted() {},
    refused() {},
    // A flow carries datagrams; bytes on its stream are the peer's mistake and go nowhere.
    data() {},
    credit() {},
    ended: () => close(true),
    reset: () => close(false),
  };
}

async function open({ host, port, find }: FlowTarget): Promise<Socket> {
  const [address = ''] = await find(host, AbortSignal.timeout(TUNNEL_DIAL_MS));
  const socket = createSocket(isIP(address) === 6 ? 'udp6' : 'udp4');
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.connect(port, address, () => {
        socket.off('error', reject);
        resolve();
      });
    });
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}
