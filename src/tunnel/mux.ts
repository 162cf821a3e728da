import { AwlError } from '../errors.js';
import type { PunchRole } from '../wire/confirm.js';
import {
  bareFrame,
  bodyNumber,
  bodyText,
  numberFrame,
  type TunnelFrame,
  textFrame,
} from '../wire/tunnel-frame.js';
import { TUNNEL_CHANNELS_MAX, TUNNEL_DATA_BYTES, TUNNEL_FIRST_CREDIT_BYTES } from '../wire/tunnel-limits.js';
import { ReceiveWindow, WindowBudget } from './windows.js';

/** For memory that nobody uses again. */
const OWNED = () => {};
/** More credit than this at once is a lie about somebody's memory. */
const CREDIT_MAX = 2 ** 31;

/** What one channel is told. Called only between `opened` and the end of the channel. */
export interface ChannelHandler {
  accepted(): void;
  /** The peer does not open it; the channel is gone. */
  refused(reason: string): void;
  /** Their memory is used again when this returns, unless `keep` was called. */
  data(bytes: Uint8Array, keep: () => void): void;
  /** More may be sent now. */
  credit(): void;
  /** The peer sends nothing more. */
  ended(): void;
  /** The peer gave up both directions; the channel is gone. */
  reset(): void;
}

/** Who is told about a channel that was refused at once. */
export const NOBODY: ChannelHandler = {
  accepted() {},
  refused() {},
  data() {},
  credit() {},
  ended() {},
  reset() {},
};

export interface MuxOptions {
  readonly role: PunchRole;
  /** Hands a frame to the record layer; frames go out in this order. */
  readonly send: (frame: TunnelFrame) => void;
  /** The peer wants a channel to `target`: yields who is told about it. The answer may come at any time later. */
  readonly opened: (channel: number, target: string) => ChannelHandler;
  /** Monotonic ms. */
  readonly now?: () => number;
}

interface Channel {
  readonly handler: ChannelHandler;
  readonly window: ReceiveWindow;
  credit: number;
  /** Our open was not answered yet. */
  asking: boolean;
  /** The peer's open was not answered yet. */
  asked: boolean;
  sentEnd: boolean;
  gotEnd: boolean;
}

/**
 * Many channels over one ordered stream of frames (docs/PROTOCOL.md, "The tunnel"): who may send how much, who
 * opens which number, what has ended. No sockets; what the peer does wrong either ends the tunnel by
 * an exception or is counted in `strays`.
 */
export class Mux {
  readonly #options: MuxOptions;
  readonly #channels = new Map<number, Channel>();
  readonly #budget = new WindowBudget();
  readonly #now: () => number;
  #next: number;
  #lastOfPeer: number;
  /** Frames for channels that are gone: a few are honest, as ends cross on the way. */
  strays = 0;
  /** Channels of either side so far, and those that we refused. */
  opened = 0;
  refused = 0;

  constructor(options: MuxOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#next = options.role === 'invite' ? 1 : 2;
    this.#lastOfPeer = options.role === 'invite' ? 0 : -1;
  }

  get size(): number {
    return this.#channels.size;
  }

  /**
   * Asks the peer for a channel; yields its number, or undefined if there are too many. One for datagrams only is
   * granted no window.
   */
  open(target: string, handler: ChannelHandler, datagrams = false): number | undefined {
    if (this.#channels.size >= TUNNEL_CHANNELS_MAX || this.#next > 0xffff_fffe) return undefined;
    const id = this.#next;
    this.#next += 2;
    const channel = this.#add(id, handler, { asking: true });
    this.#options.send(textFrame('open', id, target));
    if (!datagrams) this.#grant(id, channel.window.initial());
    return id;
  }

  accept(id: number, datagrams = false): void {
    const channel = this.#channels.get(id);
    if (!channel?.asked) return;
    channel.asked = false;
    this.#options.send(bareFrame('accept', id));
    if (!datagrams) this.#grant(id, channel.window.initial());
  }

  refuse(id: number, reason: string): void {
    if (!this.#channels.get(id)?.asked) return;
    this.#remove(id);
    this.refused += 1;
    this.#options.send(textFrame('refuse', id, reason.slice(0, 200)));
  }

  /** Bytes that may be sent on the channel now. */
  credit(id: number): number {
    const channel = this.#channels.get(id);
    return channel && !channel.sentEnd ? channel.credit : 0;
  }

  /** Sends what credit and frame size allow; yields how many bytes that were. */
  send(id: number, bytes: Uint8Array): number {
    const count = Math.min(bytes.length, this.credit(id), TUNNEL_DATA_BYTES);
    const channel = this.#channels.get(id);
    if (!channel || count === 0) return 0;
    channel.credit -= count;
    this.#options.send({
      type: 'data',
      channel: id,
      body: count === bytes.length ? bytes : bytes.subarray(0, count),
    });
    return count;
  }

  /** The reader took `bytes` of what arrived. */
  consumed(id: number, bytes: number): void {
    const channel = this.#channels.get(id);
    if (channel && !channel.gotEnd) this.#grant(id, channel.window.consumed(bytes, this.#now()));
  }

  /** We send nothing more; the other direction goes on. */
  end(id: number): void {
    const channel = this.#channels.get(id);
    if (!channel || channel.sentEnd) return;
    channel.sentEnd = true;
    this.#options.send(bareFrame('fin', id));
    if (channel.gotEnd) this.#remove(id);
  }

  /** Gives up both directions. */
  reset(id: number): void {
    if (!this.#remove(id)) return;
    this.#options.send(bareFrame('reset', id));
  }

  /**
   * `keep` is for whoever goes on using the frame's memory.
   * @throws AwlError MESSAGE_MALFORMED if the peer breaks the rules; the tunnel cannot go on then
   */
  receive(frame: TunnelFrame, keep: () => void = OWNED): void {
    if (frame.type === 'open') {
      this.#opened(frame);
      return;
    }
    const channel = this.#channels.get(frame.channel);
    if (channel) this.#forChannel(frame, channel, keep);
    else this.strays += 1;
  }

  #forChannel(frame: TunnelFrame, channel: Channel, keep: () => void): void {
    switch (frame.type) {
      case 'data':
        this.#data(frame, channel, keep);
        break;
      case 'credit':
        this.#credited(frame, channel);
        break;
      case 'accept':
      case 'refuse':
        this.#answered(frame, channel);
        break;
      case 'fin':
        if (channel.gotEnd) throw broken(frame, 'ends twice');
        channel.gotEnd = true;
        if (channel.sentEnd) this.#remove(frame.channel);
        channel.handler.ended();
        break;
      case 'reset':
        this.#remove(frame.channel);
        channel.handler.reset();
        break;
      default:
        throw broken(frame, 'belongs to no channel');
    }
  }

  #opened(frame: TunnelFrame): void {
    const { channel: id } = frame;
    const parity = this.#options.role === 'invite' ? 0 : 1;
    if (id % 2 !== parity || id <= this.#lastOfPeer)
      throw broken(frame, 'opens a number that is not its turn');
    this.#lastOfPeer = id;
    if (this.#channels.size >= TUNNEL_CHANNELS_MAX) {
      this.refused += 1;
      this.#options.send(textFrame('refuse', id, 'too many connections at once'));
      return;
    }
    const target = bodyText(frame);
    // The handler may refuse at once, so the channel is known before it is asked for.
    const late: { handler?: ChannelHandler } = {};
    const early = forward(late);
    this.#add(id, early, { asked: true });
    late.handler = this.#options.opened(id, target);
  }

  #data(frame: TunnelFrame, channel: Channel, keep: () => void): void {
    if (channel.gotEnd) throw broken(frame, 'brings data after its end');
    if (!channel.window.arrived(frame.body.length)) throw broken(frame, 'brings more than it was granted');
    channel.handler.data(frame.body, keep);
  }

  #credited(frame: TunnelFrame, channel: Channel): void {
    const credit = channel.credit + bodyNumber(frame);
    if (credit > CREDIT_MAX) throw broken(frame, 'grants more than anybody can hold');
    channel.credit = credit;
    channel.handler.credit();
  }

  #answered(frame: TunnelFrame, channel: Channel): void {
    if (!channel.asking) throw broken(frame, 'answers a question that nobody asked');
    channel.asking = false;
    if (frame.type === 'accept') {
      channel.handler.accepted();
      return;
    }
    this.#remove(frame.channel);
    channel.handler.refused(bodyText(frame));
  }

  #grant(id: number, bytes: number): void {
    if (bytes > 0) this.#options.send(numberFrame('credit', id, bytes));
  }

  #add(id: number, handler: ChannelHandler, more: { asking?: boolean; asked?: boolean }): Channel {
    const channel: Channel = {
      handler,
      window: new ReceiveWindow(this.#budget, this.#now()),
      credit: TUNNEL_FIRST_CREDIT_BYTES,
      asking: more.asking ?? false,
      asked: more.asked ?? false,
      sentEnd: false,
      gotEnd: false,
    };
    this.#channels.set(id, channel);
    this.opened += 1;
    return channel;
  }

  #remove(id: number): boolean {
    this.#channels.get(id)?.window.close();
    return this.#channels.delete(id);
  }
}

function forward(late: { handler?: ChannelHandler }): ChannelHandler {
  return {
    accepted: () => late.handler?.accepted(),
    refused: (reason) => late.handler?.refused(reason),
    data: (bytes, keep) => late.handler?.data(bytes, keep),
    credit: () => late.handler?.credit(),
    ended: () => late.handler?.ended(),
    reset: () => late.handler?.reset(),
  };
}

function broken({ type, channel }: TunnelFrame, what: string): AwlError {
  return new AwlError(
    'MESSAGE_MALFORMED',
    `the peer breaks the tunnel's rules: ${type} of channel ${channel} ${what}`,
    {
      hint: 'both sides should run the same version of awl',
    },
  );
}
