import { Channel, ChannelError, type ChannelPort } from './channel.js';
import type { Mux } from './mux.js';
import type { Sequence } from './sequence.js';

/** The channels of one tunnel as streams. */
export class Channels {
  readonly #mux: Mux;
  readonly #sequence: Sequence;
  readonly #open = new Set<Channel>();
  /** Why there is no tunnel any more. */
  #over: string | undefined;

  constructor(mux: Mux, sequence: Sequence) {
    this.#mux = mux;
    this.#sequence = sequence;
  }

  /** Asks the peer for a channel. Errors and refusal come as the stream's `error`. */
  connect(target: string): Channel {
    const slot: { id?: number } = {};
    const channel = this.#add(slot);
    if (this.#over !== undefined) {
      channel.lost(this.#over);
      return channel;
    }
    const id = this.#mux.open(target, channel);
    if (id === undefined) channel.destroy(new ChannelError('too many connections at once', true));
    else slot.id = id;
    return channel;
  }

  /** The stream of a channel that the peer opened. */
  adopt(id: number): Channel {
    return this.#add({ id });
  }

  /** The tunnel is over, and all of them with it. */
  lost(reason: string): void {
    this.#over = reason;
    for (const channel of this.#open) channel.lost(reason);
  }

  #add(slot: { id?: number }): Channel {
    const mux = this.#mux;
    const sequence = this.#sequence;
    const port: ChannelPort = {
      send: (bytes) => (slot.id === undefined ? 0 : mux.send(slot.id, bytes)),
      consumed: (bytes) => slot.id !== undefined && mux.consumed(slot.id, bytes),
      end: () => slot.id !== undefined && mux.end(slot.id),
      reset: () => slot.id !== undefined && mux.reset(slot.id),
      get writable() {
        return sequence.writable;
      },
      whenWritable: (call) => sequence.whenWritable(call),
    };
    const channel = new Channel(port);
    this.#open.add(channel);
    channel.once('close', () => this.#open.delete(channel));
    // Whoever uses the stream has its own listener; one that nobody uses any more must not end the process.
    channel.on('error', () => {});
    return channel;
  }
}
