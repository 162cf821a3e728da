import { randomBytes } from 'node:crypto';
import { OPENDHT_ASSEMBLIES_MAX } from '../../constants.js';
import type { Endpoint } from '../../util/endpoint.js';
import type { Fragment, RpcMessage } from '../../wire/opendht-rpc.js';
import { type Assembled, Assembler, assemblyKey } from './assembly.js';

/** A listener: which nodes may bring it values, and what becomes of those. */
export interface UpdateHandler {
  /** True if this node was asked to bring values of this key. */
  expects(from: Endpoint, hash: Buffer | undefined): boolean;
  take(values: readonly Buffer[]): void;
}

interface Update {
  readonly handler: UpdateHandler;
  readonly requestBytes: number;
}

/**
 * The queries of others to us: updates for our listeners, which each node repeats until they are confirmed. Whatever
 * else a node asks gets a bare confirmation.
 */
export class UpdateInbox {
  readonly #confirm: (tid: number, requestBytes: number, to: Endpoint) => void;
  readonly #handlers = new Map<number, UpdateHandler>();
  readonly #assembler = new Assembler();
  /** Updates whose values are still coming. */
  readonly #open = new Map<string, Update>();

  constructor(confirm: (tid: number, requestBytes: number, to: Endpoint) => void) {
    this.#confirm = confirm;
  }

  /** Registers a listener under a fresh socket id, until `stop` is called. */
  register(handler: UpdateHandler): { readonly socketId: number; stop(): void } {
    let socketId: number;
    do socketId = randomBytes(4).readUInt32BE() >>> 1;
    while (this.#handlers.has(socketId));
    this.#handlers.set(socketId, handler);
    return { socketId, stop: () => this.#handlers.delete(socketId) };
  }

  query(message: Extract<RpcMessage, { type: 'query' }>, requestBytes: number, from: Endpoint): void {
    const { tid, query, body } = message;
    const handler = body.socketId === undefined ? undefined : this.#handlers.get(body.socketId);
    if (query !== 'update' || !handler) {
      this.#confirm(tid, requestBytes, from);
      return;
    }
    if (!handler.expects(from, body.hash)) return;
    const { values } = body;
    if (!values || 'inline' in values) {
      handler.take(values?.inline ?? []);
      this.#confirm(tid, requestBytes, from);
      return;
    }
    const key = assemblyKey(from, tid);
    this.#open.set(key, { handler, requestBytes });
    for (const oldest of this.#open.keys()) {
      if (this.#open.size <= OPENDHT_ASSEMBLIES_MAX) break;
      this.#open.delete(oldest);
    }
    this.#deliver(key, tid, from, this.#assembler.announce(key, values.sizes, performance.now()));
  }

  part(tid: number, fragments: readonly Fragment[], from: Endpoint): void {
    const key = assemblyKey(from, tid);
    this.#deliver(key, tid, from, this.#assembler.add(key, fragments, performance.now()));
  }

  #deliver(key: string, tid: number, from: Endpoint, { values, done }: Assembled): void {
    const update = this.#open.get(key);
    if (!update) return;
    if (values.length > 0) update.handler.take(values);
    if (!done) return;
    this.#open.delete(key);
    // Not before: what is not confirmed comes again.
    this.#confirm(tid, update.requestBytes, from);
  }
}
