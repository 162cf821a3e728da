import { MAPPING_REFRESH_MS } from '../constants.js';
import type { Endpoint } from '../util/endpoint.js';
import type { TunnelKeys } from '../wire/tunnel-keys.js';
import type { Carrier, DatagramPort } from './carrier.js';

/** What a carrier over UDP is made of. */
export interface PunchedPort {
  readonly local: Endpoint;
  readonly peer: Endpoint;
  readonly keys: TunnelKeys;
  /** Gives the punched port back. */
  readonly release: () => Promise<void>;
}

/**
 * Takes the port over: `release` gives it back, and in the same turn `bind` has it, so that nobody else can; where the
 * system is slower, as soon as it is free.
 * @throws what `bind` throws the second time
 */
export async function takeOver<Taken>(release: () => Promise<void>, bind: () => Taken): Promise<Taken> {
  const released = release();
  try {
    return bind();
  } catch {
    await released;
    return bind();
  } finally {
    await released;
  }
}

/** The part of a carrier that its port's datagrams are: they may be kept when the stream beside them is over. */
export function keepable(
  datagrams: DatagramPort,
  send: (packet: Buffer) => void,
  close: () => Promise<void>,
): Pick<Carrier, 'datagrams' | 'keepDatagrams' | 'close'> {
  let kept = false;
  return {
    datagrams,
    keepDatagrams: () => {
      kept = true;
      // Nothing else may pass here for hours now, and NATs forget (RFC 4787 REQ-5): a byte that every reader ignores.
      const refresh = setInterval(() => send(Buffer.of(0)), MAPPING_REFRESH_MS);
      return {
        ...datagrams,
        close: () => {
          clearInterval(refresh);
          return close();
        },
      };
    },
    close: async () => {
      if (!kept) await close();
    },
  };
}
