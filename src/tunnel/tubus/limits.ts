import {
  TUBUS_ACCEPT_MS,
  TUBUS_CONNECT_MS,
  TUBUS_FLIGHT,
  TUBUS_HEADER_BYTES,
  TUBUS_MOVE_ATTEMPTS,
  TUBUS_PACKET_BYTES,
  TUBUS_PING_MS,
  TUBUS_RECEIVE_MAX_BYTES,
  TUBUS_SEND_BYTES,
  TUBUS_SHUTDOWN_MS,
  TUBUS_SILENCE_MS,
  TUBUS_WINDOW_BYTES,
} from '../../wire/tubus-constants.js';

/** What one tubus connection may use; times in milliseconds, sizes in bytes. */
export interface TubusLimits {
  readonly packetBytes: number;
  readonly pingMs: number;
  /** Without any valid datagram for so long the connection is broken. */
  readonly silenceMs: number;
  readonly shutdownMs: number;
  readonly connectMs: number;
  readonly acceptMs: number;
  /** Moves in flight. */
  readonly flight: number;
  readonly moveAttempts: number;
  /** What the peer may send ahead of the reader. */
  readonly receiveBytes: number;
  /** Unsent and unacknowledged bytes before a writer waits. */
  readonly sendBytes: number;
}

export const TUBUS_LIMITS: TubusLimits = {
  packetBytes: TUBUS_PACKET_BYTES,
  pingMs: TUBUS_PING_MS,
  silenceMs: TUBUS_PING_MS + TUBUS_SILENCE_MS,
  shutdownMs: TUBUS_SHUTDOWN_MS,
  connectMs: TUBUS_CONNECT_MS,
  acceptMs: TUBUS_ACCEPT_MS,
  flight: TUBUS_FLIGHT,
  moveAttempts: TUBUS_MOVE_ATTEMPTS,
  receiveBytes: TUBUS_WINDOW_BYTES,
  sendBytes: TUBUS_SEND_BYTES,
};

/** A header, an echo and a move of some bytes must fit. */
const PACKET_LEAST = TUBUS_HEADER_BYTES + 48;

/**
 * {@link TUBUS_LIMITS} as the environment changes them, under the names of the real one (spec plexus h.1):
 * `TUBUS_MAX_PACKET_SIZE`, `_PING_TIMEOUT` (s), `_SHUTDOWN_TIMEOUT` (ms), `_CONNECT_TIMEOUT` (s),
 * `_ACCEPT_TIMEOUT` (s), `_SNIPPET_FLIGHT`, `_MOVE_ATTEMPTS`, `_RECEIVE_BUFFER_SIZE`, `_SEND_BUFFER_SIZE`.
 * Texts that are no whole number are passed over, numbers that cannot work are moved to the nearest that can.
 */
export function limitsFrom(env: Readonly<Record<string, string | undefined>>): TubusLimits {
  const read = (name: string, usual: number, scale: number, least: number, most: number) => {
    const text = env[`TUBUS_${name}`] ?? '';
    return /^\d{1,12}$/.test(text) ? Math.min(most, Math.max(least, Number(text) * scale)) : usual;
  };
  const usual = TUBUS_LIMITS;
  const day = 86_400_000;
  const mega = 1024 * 1024;
  const pingMs = read('PING_TIMEOUT', usual.pingMs, 1000, 1000, day);
  return {
    packetBytes: read('MAX_PACKET_SIZE', usual.packetBytes, 1, PACKET_LEAST, TUBUS_RECEIVE_MAX_BYTES),
    pingMs,
    silenceMs: pingMs + Math.min(TUBUS_SILENCE_MS, pingMs),
    shutdownMs: read('SHUTDOWN_TIMEOUT', usual.shutdownMs, 1, 0, day),
    connectMs: read('CONNECT_TIMEOUT', usual.connectMs, 1000, 1000, day),
    acceptMs: read('ACCEPT_TIMEOUT', usual.acceptMs, 1000, 1000, day),
    flight: read('SNIPPET_FLIGHT', usual.flight, 1, 1, 1024),
    moveAttempts: read('MOVE_ATTEMPTS', usual.moveAttempts, 1, 1, 1024),
    receiveBytes: read('RECEIVE_BUFFER_SIZE', usual.receiveBytes, 1, 4096, 64 * mega),
    sendBytes: read('SEND_BUFFER_SIZE', usual.sendBytes, 1, 4096, 64 * mega),
  };
}
