import { MAPPING_REFRESH_MS, STUN_RETRANSMITS_MS } from '../constants.js';
import type { Logger } from '../log.js';
import { type Endpoint, formatEndpoint, sameEndpoint } from '../util/endpoint.js';
import { sleep } from '../util/sleep.js';
import type { UdpSocket } from '../util/udp.js';
import { transact } from './client.js';

export interface KeepMappingOptions {
  /** Milliseconds between refreshes; default MAPPING_REFRESH_MS. */
  readonly everyMs?: number;
  /** The endpoint known so far; default: what the first refresh brings. */
  readonly known?: Endpoint;
  /** Called when the NAT gave us another endpoint than before. */
  readonly onChange: (endpoint: Endpoint) => void;
  readonly signal: AbortSignal;
  readonly schedule?: readonly number[];
  readonly log?: Logger;
}

/**
 * Keeps the NAT's mapping of `socket` alive by Binding requests while a session waits for its peer (RFC 4787
 * REQ-5: a NAT may forget it after two minutes, many do after 30 s), and reports when it moved.
 * Resolves when the signal aborts or the socket is closed; never rejects: an unanswered refresh still refreshes.
 */
export async function keepMapping(
  socket: UdpSocket,
  server: Endpoint,
  options: KeepMappingOptions,
): Promise<void> {
  const { everyMs = MAPPING_REFRESH_MS, onChange, signal, log } = options;
  const schedule = options.schedule ?? STUN_RETRANSMITS_MS;
  let last = options.known;
  try {
    while (!socket.closed) {
      await sleep(everyMs, signal);
      const outcome = await transact(socket, server, { schedule, signal });
      if (outcome.kind !== 'answer') {
        log?.debug(`STUN server ${formatEndpoint(server)} did not answer a mapping refresh`);
        continue;
      }
      const { mapped } = outcome.answer;
      const moved = last !== undefined && !sameEndpoint(last, mapped);
      last = mapped;
      if (moved) onChange(mapped);
    }
  } catch (error) {
    if (!signal.aborted) log?.error(`mapping refresh ended: ${String(error)}`);
  }
}
