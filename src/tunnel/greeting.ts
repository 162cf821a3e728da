import { AwlError, isAwlError } from '../errors.js';
import { bareFrame, bodyCount, decodeFrames, encodeFrame, textFrame } from '../wire/tunnel-frame.js';
import { encodeHello, readHello, type TunnelHello } from '../wire/tunnel-hello.js';
import { TUNNEL_KNOCK_MS, TUNNEL_START_MS } from '../wire/tunnel-limits.js';
import type { Carrier } from './carrier.js';
import { Link, lost } from './link.js';

/** A carrier whose two ends have authenticated each other and said what they want. */
export interface Greeted {
  readonly link: Link;
  /** What the peer told of itself. */
  readonly hello: TunnelHello;
}

export interface GreetingOptions {
  readonly carrier: Carrier;
  readonly hello: TunnelHello;
  readonly signal?: AbortSignal;
}

/**
 * Exchanges hellos over a fresh carrier. On failure the carrier is closed.
 * @throws AwlError TUNNEL_REFUSED if the peer starts no tunnel, TUNNEL_LOST, MESSAGE_*; the signal's reason
 */
export async function greet({ carrier, hello, signal }: GreetingOptions): Promise<Greeted> {
  const link = new Link(carrier);
  const stop = new AbortController();
  try {
    return { link, hello: await exchange(link, hello, stop.signal, signal) };
  } catch (error) {
    await link.close(0);
    signal?.throwIfAborted();
    throw error;
  } finally {
    stop.abort();
  }
}

function exchange(
  link: Link,
  own: TunnelHello,
  over: AbortSignal,
  signal: AbortSignal | undefined,
): Promise<TunnelHello> {
  return new Promise((resolve, reject) => {
    let said = false;
    // Once the peer's socket is surely there: what is sent too early waits a second for its repetition.
    const say = () => {
      if (said) return;
      said = true;
      link.write(encodeFrame(textFrame('hello', 0, encodeHello(own))));
    };
    const knock = () => link.datagrams.send(0, new Uint8Array());
    const knocking = setInterval(knock, TUNNEL_KNOCK_MS);
    const timer = setTimeout(() => reject(noStart()), TUNNEL_START_MS);
    const onAbort = () => reject(signal?.reason);
    over.addEventListener('abort', () => {
      clearInterval(knocking);
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      link.datagrams.listen(undefined);
    });
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted) onAbort();
    link.datagrams.listen(({ channel }) => channel === 0 && say());
    link.listen({
      record: (record) => {
        try {
          const [frame, ...more] = decodeFrames(record);
          const hello = readHello(frame ?? bareFrame('bye', 0));
          if (more.length > 0) throw lost('its hello does not stand alone');
          say();
          link.pause();
          resolve(hello);
        } catch (error) {
          reject(error);
        }
      },
      drained: () => {},
      closed: (error) => reject(isAwlError(error) ? error : lost('it broke')),
    });
    // A secure stream is connected already, whatever becomes of the datagrams beside it.
    if (!link.datagrams.available || link.carrier.secure) say();
    else knock();
  });
}

/**
 * How many records the peer has of the tunnel that goes on over this link: the first frame behind the hellos.
 * @throws AwlError TUNNEL_LOST if the peer does not go on, TUNNEL_FORGOTTEN if it knows nothing of the tunnel
 */
export function firstCount(link: Link): Promise<number> {
  return new Promise((resolve, reject) => {
    const seconds = TUNNEL_START_MS / 1000;
    const timer = setTimeout(
      () => reject(lost(`the peer did not go on within ${seconds} s`)),
      TUNNEL_START_MS,
    );
    link.listen({
      record: (record) => {
        clearTimeout(timer);
        link.pause();
        try {
          const [frame] = decodeFrames(record);
          if (frame?.type === 'bye') throw forgotten();
          if (frame?.type !== 'resume') throw lost('the peer does not go on with it');
          resolve(bodyCount(frame));
        } catch (error) {
          reject(error);
        }
      },
      drained: () => {},
      closed: (error) => {
        clearTimeout(timer);
        reject(error);
      },
    });
  });
}

function forgotten(): AwlError {
  return new AwlError('TUNNEL_FORGOTTEN', 'the peer does not know the tunnel any more', {
    hint: 'awl was started anew there, or waited in vain and gave up; what was connected is gone: start the session again',
  });
}

function noStart(): AwlError {
  const seconds = TUNNEL_START_MS / 1000;
  return new AwlError('TUNNEL_REFUSED', `the peer did not start its end of the tunnel within ${seconds} s`, {
    hint: 'it needs --export, --import or --stdio too; a program in --exec-command does not speak with the tunnel',
  });
}
