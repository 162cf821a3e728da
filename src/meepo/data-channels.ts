import { CHANNEL_ACK, encodeChannelOpen, PROTOCOL, readChannelControl } from '../wire/data-channel.js';
import { CHANNELS_MAX } from './limits.js';
import type { ChannelInfo } from './link.js';
import { Association } from './sctp/association.js';
import type { SctpMessage } from './sctp/inbound.js';

/** What becomes of a channel; set by whoever uses it, before anything can arrive. */
export interface ChannelEvents {
  message(bytes: Buffer): void;
  /** Less waits than did. */
  drain(): void;
  state(state: ChannelInfo['state']): void;
}

/** One data channel: reliable, ordered. */
export class DataChannel {
  readonly id: number;
  readonly label: string;
  /** Its messages go before those of other channels. */
  readonly urgent: boolean;
  events: ChannelEvents | undefined;
  state: ChannelInfo['state'] = 'connecting';
  /** Bytes that the network has not taken. */
  buffered = 0;
  readonly #channels: DataChannels;

  constructor(channels: DataChannels, id: number, label: string, urgent: boolean) {
    this.#channels = channels;
    this.id = id;
    this.label = label;
    this.urgent = urgent;
  }

  /** The memory is the channel's until the peer has it all. */
  send(bytes: Buffer): void {
    if (this.state !== 'open' || bytes.length === 0) return;
    this.buffered += bytes.length;
    this.#channels.send(this, PROTOCOL.binary, bytes);
  }

  /** What was sent arrives first. */
  close(): void {
    this.#channels.close(this);
  }

  to(state: ChannelInfo['state']): void {
    if (this.state === state || this.state === 'closed') return;
    this.state = state;
    this.events?.state(state);
  }
}

export interface DataChannelsPort {
  /** Packets for DTLS, in this order. Never throws. */
  send(packets: readonly Buffer[]): void;
  /** Channels can be opened now. */
  readonly ready: () => void;
  /** The peer opened one. */
  readonly opened: (channel: DataChannel) => void;
  readonly ended: (reason: string) => void;
}

/** The data channels of one path: opened and closed by RFC 8832 and 8831 on the streams of an association. */
export class DataChannels {
  readonly #association: Association;
  readonly #port: DataChannelsPort;
  readonly #channels = new Map<number, DataChannel>();
  /** Ends of a stream that are still open; its number is free when none is. */
  readonly #ends = new Map<number, Set<'us' | 'peer'>>();
  readonly #isUrgent: (label: string) => boolean;
  #firstId = 0;

  constructor(port: DataChannelsPort, isUrgent: (label: string) => boolean) {
    this.#port = port;
    this.#isUrgent = isUrgent;
    this.#association = new Association({
      send: (packets) => port.send(packets),
      established: () => port.ready(),
      message: (message) => this.#message(message),
      left: (stream, bytes) => this.#left(stream, bytes),
      reset: (stream, by) => this.#reset(stream, by),
      ended: (reason) => {
        this.#closeAll();
        port.ended(reason);
      },
    });
  }

  /** `begins` is who asks for the association; the client of DTLS has the even numbers (RFC 8832 section 6). */
  start({ begins, isClient }: { readonly begins: boolean; readonly isClient: boolean }): void {
    this.#firstId = isClient ? 0 : 1;
    if (begins) this.#association.start();
  }

  /** One decrypted packet. Never throws. */
  receive(packet: Buffer): void {
    this.#association.receive(packet);
  }

  /** @throws Error if there are too many */
  open(label: string): DataChannel {
    let id = this.#firstId;
    while (this.#ends.has(id)) id += 2;
    const channel = this.#add(id, label);
    this.send(channel, PROTOCOL.control, encodeChannelOpen(label));
    return channel;
  }

  send({ id, urgent }: DataChannel, protocol: number, data: Buffer): void {
    this.#association.push({ stream: id, protocol, data }, urgent);
  }

  close(channel: DataChannel): void {
    if (channel.state === 'closing' || channel.state === 'closed') return;
    channel.to('closing');
    this.#association.reset(channel.id);
  }

  /** Bytes that wait for slow readers: the peer's window shrinks by them, or grows again. */
  hold(bytes: number): void {
    this.#association.hold(bytes);
  }

  end(): void {
    this.#association.close();
    this.#closeAll();
  }

  #closeAll(): void {
    const all = [...this.#channels.values()];
    this.#channels.clear();
    this.#ends.clear();
    for (const channel of all) channel.to('closed');
  }

  #add(id: number, label: string): DataChannel {
    if (this.#ends.size >= CHANNELS_MAX) throw new Error('too many data channels');
    const channel = new DataChannel(this, id, label, this.#isUrgent(label));
    this.#channels.set(id, channel);
    this.#ends.set(id, new Set(['us', 'peer'] as const));
    return channel;
  }

  #message({ stream, protocol, data }: SctpMessage): void {
    const channel = this.#channels.get(stream);
    if (protocol === PROTOCOL.control) this.#control(stream, channel, data);
    else if (protocol === PROTOCOL.binary || protocol === PROTOCOL.text) channel?.events?.message(data);
  }

  #control(stream: number, channel: DataChannel | undefined, data: Buffer): void {
    const control = readChannelControl(data);
    if (control === 'ack') channel?.to('open');
    else if (control && !this.#ends.has(stream)) {
      // An id of ours would collide with what we open next: no well-behaved peer chooses it.
      const { label } = control;
      const made = this.#add(stream, label);
      this.send(made, PROTOCOL.control, CHANNEL_ACK);
      this.#port.opened(made);
      made.to('open');
    }
  }

  #left(stream: number, bytes: number): void {
    const channel = this.#channels.get(stream);
    if (!channel) return;
    // What opens a channel was not counted.
    channel.buffered = Math.max(0, channel.buffered - bytes);
    channel.events?.drain();
  }

  #reset(stream: number, by: 'us' | 'peer'): void {
    const ends = this.#ends.get(stream);
    const channel = this.#channels.get(stream);
    if (!ends) return;
    if (by === 'peer' && ends.has('us') && channel?.state !== 'closing') {
      channel?.to('closing');
      this.#association.reset(stream);
    }
    ends.delete(by);
    // Its number is not used again before the peer has closed its end, too.
    if (ends.size === 0) this.#ends.delete(stream);
    if (by === 'peer') return;
    this.#channels.delete(stream);
    channel?.to('closed');
  }
}
