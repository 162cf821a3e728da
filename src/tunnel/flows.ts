import type { Logger } from '../log.js';
import { TUNNEL_FLOW_IDLE_MS, TUNNEL_FLOW_QUEUE, TUNNEL_FLOWS_MAX } from '../wire/tunnel-limits.js';
import type { ChannelHandler } from './mux.js';
import type { Tunnel } from './tunnel.js';

interface Flow {
  readonly id: number;
  readonly idle: NodeJS.Timeout;
  readonly unsubscribe: () => void;
  /** Datagrams that wait for the peer's consent; undefined once it is there. */
  waiting: Buffer[] | undefined;
}

/** What a datagram of a new flow needs to know. */
export interface FlowRoute {
  /** What it leads to, as open frames name it. */
  readonly target: string;
  /** Who gets the answers. */
  readonly deliver: (payload: Buffer) => void;
}

/**
 * Flows of the importing side: each key (a local source, a destination) is a channel that carries datagrams only. A
 * new one is worth more than the one that was silent for longest; silent ones end.
 */
export class Flows {
  readonly tunnel: Tunnel;
  readonly #log: Logger;
  readonly #max: number;
  /** The longest silent first. */
  readonly #flows = new Map<string, Flow>();

  constructor(tunnel: Tunnel, log: Logger, max = TUNNEL_FLOWS_MAX) {
    this.tunnel = tunnel;
    this.#log = log;
    this.#max = max;
  }

  /** Sends a datagram; `route` is asked if the key has no flow yet. */
  send(key: string, payload: Buffer, route: () => FlowRoute): void {
    const flow = this.#flows.get(key) ?? this.#begin(key, route());
    if (!flow) return;
    flow.idle.refresh();
    this.#flows.delete(key);
    this.#flows.set(key, flow);
    if (!flow.waiting) this.tunnel.sendDatagram(flow.id, payload);
    else if (flow.waiting.length < TUNNEL_FLOW_QUEUE) flow.waiting.push(payload);
  }

  /** Ends every flow, and tells the peer. */
  close(): void {
    for (const key of [...this.#flows.keys()]) this.#forget(key, true);
  }

  #begin(key: string, { target, deliver }: FlowRoute): Flow | undefined {
    const { tunnel } = this;
    if (this.#flows.size >= this.#max) this.#forget(this.#flows.keys().next().value ?? '', true);
    const handler: ChannelHandler = {
      accepted: () => {
        const flow = this.#flows.get(key);
        for (const payload of flow?.waiting ?? []) this.tunnel.sendDatagram(flow?.id ?? 0, payload);
        if (flow) flow.waiting = undefined;
      },
      refused: (reason) => {
        this.#log.warning(`${target}: the peer says: ${reason}`);
        this.#forget(key, false);
      },
      data() {},
      credit() {},
      ended: () => this.#forget(key, true),
      reset: () => this.#forget(key, false),
    };
    const id = tunnel.mux.open(target, handler, true);
    if (id === undefined) return undefined;
    const flow: Flow = {
      id,
      idle: setTimeout(() => this.#forget(key, true), TUNNEL_FLOW_IDLE_MS),
      unsubscribe: tunnel.onDatagrams(id, (payload) => {
        flow.idle.refresh();
        deliver(payload);
      }),
      waiting: [],
    };
    this.#flows.set(key, flow);
    return flow;
  }

  #forget(key: string, tell: boolean): void {
    const flow = this.#flows.get(key);
    if (!flow) return;
    this.#flows.delete(key);
    clearTimeout(flow.idle);
    flow.unsubscribe();
    if (tell) this.tunnel.mux.reset(flow.id);
  }
}
