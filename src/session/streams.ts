import { EventEmitter, once } from 'node:events';
import type { Duplex } from 'node:stream';
import { AwlError } from '../errors.js';
import { silentLogger } from '../log.js';
import { DatagramFlow } from '../tunnel/flow.js';
import { type ChannelHandler, NOBODY } from '../tunnel/mux.js';
import { Tunnel } from '../tunnel/tunnel.js';
import { formatTarget, parseTarget } from '../wire/tunnel-target.js';
import { greetOver } from './carrying.js';
import type { Passage } from './passage.js';
import type { SessionSettings } from './settings.js';
import { openTcpStream } from './tcp-stream.js';

/** What a program waits for from its peer: `connection` for each stream or, for `udp:`, each flow of datagrams. */
export interface PassageListener
  extends EventEmitter<{ connection: [stream: Duplex]; datagrams: [flow: DatagramFlow]; close: [] }> {
  /** The name as the peer has to spell it. */
  readonly target: string;
  /** Nothing new is taken; what is open goes on. */
  close(): void;
}

/** A passage that can be used at once, without another program. */
export interface StreamPassage extends Passage {
  /**
   * Opens a stream to what the peer listens for under this name (`22`, `nas:5432`, `unix:/run/x`; it need not be a
   * port). Resolves when the peer took it.
   * @throws AwlError TUNNEL_REFUSED if the peer listens for no such thing, TUNNEL_LOST, USAGE_BAD_VALUE
   */
  connect(target: string): Promise<Duplex>;
  /**
   * Takes what the peer opens under this name. Names that nobody listens for are refused: this is the allow list.
   * @throws AwlError as `connect`, USAGE_CONFLICT if somebody listens for it already
   */
  listen(target: string): Promise<PassageListener>;
  /**
   * With `transport` tcp, where both sides agreed on it by `qos`: the one connection between both, encrypted and proved
   * by TLS 1.3 with keys of the session. Resolves when the peer has called it, too; the caller ends it.
   * @throws AwlError USAGE_CONFLICT for a passage of UDP, TUNNEL_REFUSED toward a plexus, HANDSHAKE_TIMEOUT, TCP_BIND
   */
  stream(): Promise<Duplex>;
  /** Opens a flow of datagrams to what the peer listens for as `udp:` this name. */
  datagram(target: string): Promise<DatagramFlow>;
}

class Listening
  extends EventEmitter<{ connection: [Duplex]; datagrams: [DatagramFlow]; close: [] }>
  implements PassageListener
{
  readonly target: string;
  readonly #forget: () => void;

  constructor(target: string, forget: () => void) {
    super();
    this.target = target;
    this.#forget = forget;
  }

  close(): void {
    this.#forget();
    this.emit('close');
  }
}

/** Adds streams and datagrams to a passage; the first use makes it a tunnel, and its socket is then the tunnel's. */
export function withStreams(passage: Passage, settings: SessionSettings): StreamPassage {
  const listening = new Map<string, Listening>();
  let opening: Promise<Tunnel> | undefined;
  const open = () => {
    opening ??= openTunnel(passage, settings, listening);
    return opening;
  };
  return {
    ...passage,
    async connect(target) {
      const name = nameOf(target, 'tcp');
      const channel = (await open()).connect(name);
      await agreed(channel, name);
      return channel;
    },
    async listen(target) {
      const name = nameOf(target, target.startsWith('udp:') ? 'udp' : 'tcp');
      if (listening.has(name)) throw new AwlError('USAGE_CONFLICT', `${name} is listened for already`);
      const listener = new Listening(name, () => listening.delete(name));
      // Before the tunnel stands: the peer may ask at once.
      listening.set(name, listener);
      await open();
      return listener;
    },
    async datagram(target) {
      const name = nameOf(target.startsWith('udp:') ? target : `udp:${target}`, 'udp');
      const flow = new DatagramFlow(await open());
      flow.open(name);
      await agreed(flow, name);
      return flow;
    },
    stream: () => openTcpStream(passage, settings.signal),
    async close() {
      const tunnel = await opening?.catch(() => undefined);
      await tunnel?.close('the passage was closed');
      await passage.close();
    },
  };
}

async function openTunnel(
  passage: Passage,
  settings: SessionSettings,
  listening: ReadonlyMap<string, Listening>,
): Promise<Tunnel> {
  if (passage.transport === 'tcp') {
    throw new AwlError('USAGE_CONFLICT', 'both sides agreed on TCP for this passage', {
      hint: 'use stream()',
    });
  }
  const log = (settings.log ?? silentLogger).child(passage.session);
  const greeted = await greetOver(passage, { exports: [...listening.keys()] }, settings.signal);
  return new Tunnel(
    {
      role: passage.role,
      onOpen: (tunnel, id, target) => take(tunnel, id, listening.get(target), target),
      log,
      ...(settings.signal && { signal: settings.signal }),
    },
    greeted,
  );
}

function take(tunnel: Tunnel, id: number, listener: Listening | undefined, target: string): ChannelHandler {
  const datagrams = target.startsWith('udp:');
  if (!listener || listener.listenerCount(datagrams ? 'datagrams' : 'connection') === 0) {
    tunnel.mux.refuse(id, 'nobody listens for it');
    return NOBODY;
  }
  if (datagrams) {
    const flow = new DatagramFlow(tunnel);
    const handler = flow.take(id);
    listener.emit('datagrams', flow);
    return handler;
  }
  const channel = tunnel.adopt(id);
  tunnel.mux.accept(id);
  listener.emit('connection', channel);
  return channel;
}

/** Waits until the peer took what we opened. */
async function agreed(opened: EventEmitter, name: string): Promise<void> {
  try {
    await once(opened, 'accepted');
  } catch (cause) {
    const refused = cause instanceof Error && 'refused' in cause && cause.refused === true;
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new AwlError(refused ? 'TUNNEL_REFUSED' : 'TUNNEL_LOST', `${name}: ${message}`, { cause });
  }
}

function nameOf(target: string, protocol: 'tcp' | 'udp'): string {
  try {
    const parsed = parseTarget(target);
    if (parsed.protocol === 'udp' ? protocol !== 'udp' : protocol === 'udp') {
      throw new RangeError(`is not ${protocol}`);
    }
    return formatTarget(parsed);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new AwlError('USAGE_BAD_VALUE', `${JSON.stringify(target.slice(0, 128))} ${error.message}`, {
      hint: "for example '22', 'nas:5432', 'unix:/run/app.sock', 'udp:53'",
    });
  }
}
