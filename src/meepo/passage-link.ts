import type { Duplex } from 'node:stream';
import type { Logger } from '../log.js';
import type { Channel } from '../tunnel/channel.js';
import type { Greeted } from '../tunnel/greeting.js';
import type { ChannelHandler } from '../tunnel/mux.js';
import { Tunnel } from '../tunnel/tunnel.js';
import type { PunchRole } from '../wire/confirm.js';
import { PACKET_MAX_BYTES } from '../wire/meepo/packet.js';
import type { ChannelInfo, LinkEvents, LinkState, MeepoLink } from './link.js';

/** What a channel of the tunnel is for: the control channel of its opener, or a labelled stream. */
const SYS = 'meepo-sys';
const STREAM = 'meepo-stream:';
const TARGET_MAX_BYTES = 1_000;
const LENGTH_BYTES = 4;

const NOBODY: ChannelHandler = {
  accepted() {},
  refused() {},
  data() {},
  credit() {},
  ended() {},
  reset() {},
};

/** Messages in a stream, each behind its length in 4 bytes; anything too large ends the stream. */
function readMessages(channel: Channel, heard: (bytes: Buffer) => void): void {
  let waiting: Buffer = Buffer.alloc(0);
  channel.on('data', (data: Buffer) => {
    waiting = waiting.length === 0 ? data : Buffer.concat([waiting, data]);
    while (waiting.length >= LENGTH_BYTES) {
      const length = waiting.readUInt32BE(0);
      if (length > PACKET_MAX_BYTES) {
        channel.destroy();
        return;
      }
      if (waiting.length < LENGTH_BYTES + length) return;
      heard(Buffer.from(waiting.subarray(LENGTH_BYTES, LENGTH_BYTES + length)));
      waiting = waiting.subarray(LENGTH_BYTES + length);
    }
  });
}

/** A punched path and awl's own tunnel on it: streams with half-close and credit of their own. */
export class PassageLink implements MeepoLink {
  readonly kind = 'passage';
  readonly halfClose = true;
  readonly #tunnel: Tunnel;
  readonly #events: LinkEvents;
  readonly #labels = new Map<Duplex, string>();
  #sys: Channel | undefined;
  #state: LinkState = 'connected';

  constructor(role: PunchRole, greeted: Greeted, events: LinkEvents, log: Logger) {
    this.#events = events;
    const onOpen = (tunnel: Tunnel, id: number, target: string) => this.#opened(tunnel, id, target);
    this.#tunnel = new Tunnel({ role, onOpen, log }, greeted);
    const over = () => this.#over();
    this.#tunnel.closed.then(over, over);
  }

  get state(): LinkState {
    return this.#state;
  }

  get channels(): readonly ChannelInfo[] {
    const sys = { label: 'sys', state: 'open' as const };
    return [sys, ...[...this.#labels.values()].map((label) => ({ label, state: 'open' as const }))];
  }

  async sendSys(bytes: Buffer): Promise<void> {
    if (this.#state !== 'connected') throw new Error('the transport is not connected');
    this.#sys ??= this.#tunnel.connect(SYS);
    const head = Buffer.alloc(LENGTH_BYTES);
    head.writeUInt32BE(bytes.length);
    this.#sys.write(Buffer.concat([head, bytes]));
  }

  async openStream(label: string): Promise<Duplex> {
    if (this.#state !== 'connected') throw new Error('the transport is not connected');
    const target = STREAM + label;
    if (Buffer.byteLength(target) > TARGET_MAX_BYTES) throw new Error('the label is too long');
    return this.#named(this.#tunnel.connect(target), label);
  }

  async close(): Promise<void> {
    await this.#tunnel.close('the transport is closed');
    this.#over();
  }

  #opened(tunnel: Tunnel, id: number, target: string): ChannelHandler {
    if (target !== SYS && !target.startsWith(STREAM)) {
      tunnel.mux.refuse(id, 'no channel of Meepo');
      return NOBODY;
    }
    const channel = tunnel.adopt(id);
    tunnel.mux.accept(id);
    if (target === SYS) {
      readMessages(channel, (bytes) => this.#events.sys(bytes));
      return channel;
    }
    const label = target.slice(STREAM.length);
    this.#named(channel, label);
    this.#events.stream(label, channel);
    return channel;
  }

  #named(channel: Channel, label: string): Channel {
    this.#labels.set(channel, label);
    channel.once('close', () => this.#labels.delete(channel));
    return channel;
  }

  #over(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#events.state('closed');
  }
}
