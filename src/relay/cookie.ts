import { createHmac, timingSafeEqual } from 'node:crypto';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import { RELAY_COOKIE_BYTES } from '../wire/relay.js';
import { RELAY_COOKIE_MS } from './limits.js';

const TIME_BYTES = 4;
const MAC_BYTES = RELAY_COOKIE_BYTES - TIME_BYTES;

function mac(secret: Buffer, time: Buffer, from: Endpoint, nonce: Buffer): Buffer {
  const whole = createHmac('sha256', secret).update(time).update(nonce).update(formatEndpoint(from)).digest();
  return whole.subarray(0, MAC_BYTES);
}

/**
 * A challenge that costs no memory: time (4 bytes, seconds of the relay's clock) and a MAC over it, the client's nonce
 * and the address it is sent to. Who brings it back can be reached there.
 */
export function makeCookie(secret: Buffer, from: Endpoint, nonce: Buffer, now: number): Buffer {
  const time = Buffer.alloc(TIME_BYTES);
  time.writeUInt32BE(Math.floor(now / 1000) % 2 ** 32);
  return Buffer.concat([time, mac(secret, time, from, nonce)]);
}

/** True for a cookie that was made for this address and nonce within the last seconds. */
export function checkCookie(
  secret: Buffer,
  cookie: Buffer,
  from: Endpoint,
  nonce: Buffer,
  now: number,
): boolean {
  if (cookie.length !== RELAY_COOKIE_BYTES) return false;
  const time = cookie.subarray(0, TIME_BYTES);
  const age = now - time.readUInt32BE() * 1000;
  if (age < 0 || age > RELAY_COOKIE_MS) return false;
  return timingSafeEqual(cookie.subarray(TIME_BYTES), mac(secret, time, from, nonce));
}
