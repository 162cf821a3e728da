import { randomBytes } from 'node:crypto';
import { STUN_MAGIC_COOKIE, STUN_RETRANSMITS_MS } from '../constants.js';
import { AwlError } from '../errors.js';
import { type Endpoint, formatEndpoint, sameEndpoint } from '../util/endpoint.js';
import type { UdpSocket } from '../util/udp.js';
import { decodeStun, encodeStun, repeatsId, STUN_ID_BYTES, type StunMessage } from '../wire/stun.js';
import { localAddresses } from './own-address.js';
import { isPlausibleAlternate, isPlausibleMapped } from './sanity.js';

export interface BindOptions {
  /** CHANGE-REQUEST: ask for the reply from the server's other address, other port, or both. */
  readonly changeIp?: boolean;
  readonly changePort?: boolean;
  /** Where a changed reply comes from; learnt by a plain request first if it is not given. */
  readonly alternate?: Endpoint;
  /** Send 16 random octets instead of cookie and id (RFC 3489). */
  readonly classic?: boolean;
  /** Milliseconds to wait after each transmission; the last wait ends the transaction. */
  readonly schedule?: readonly number[];
  readonly signal?: AbortSignal;
}

/** A server's valid answer to a Binding request. */
export interface BindingAnswer {
  readonly server: Endpoint;
  /** Where the answer came from: the server, or its changed address. */
  readonly from: Endpoint;
  /** Where the server saw us. */
  readonly mapped: Endpoint;
  /** OTHER-ADDRESS or CHANGED-ADDRESS, if the server has one that can be believed. */
  readonly alternate?: Endpoint;
  /** From the first transmission to the answer. */
  readonly ms: number;
}

/** How a transaction ended. `refused`: the server answered, but not with what was asked for. */
export type Outcome =
  | { readonly kind: 'answer'; readonly answer: BindingAnswer }
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'silent'; readonly ms: number; readonly unbelievable?: Endpoint };

/** A fresh id: cookie and 96 random bits (RFC 8489 section 5), or 128 random bits of a classic client. */
export function newStunId(classic = false): Buffer {
  const id = randomBytes(STUN_ID_BYTES);
  if (!classic) id.writeUInt32BE(STUN_MAGIC_COOKIE);
  return id;
}

/**
 * One Binding transaction on a shared socket: the same id in every retransmission (RFC 8489 section 6.2.1).
 * An answer counts if it repeats the id, comes from where it must, and names a believable address; only the
 * first one does. Everything else on the socket is left to others.
 * @throws the signal's reason when aborted, nothing else
 */
export function transact(socket: UdpSocket, server: Endpoint, options: BindOptions = {}): Promise<Outcome> {
  const { changeIp = false, changePort = false, signal } = options;
  const schedule = options.schedule ?? STUN_RETRANSMITS_MS;
  const changed = changeIp || changePort;
  const { alternate = server } = options;
  const expected: Endpoint = {
    address: changeIp ? alternate.address : server.address,
    port: changePort ? alternate.port : server.port,
  };
  const id = newStunId(options.classic);
  const request = encodeStun({
    kind: 'request',
    id,
    ...(changed && { change: { ip: changeIp, port: changePort } }),
  });
  const begun = performance.now();
  const elapsed = () => performance.now() - begun;
  let unbelievable: Endpoint | undefined;

  const read = (message: StunMessage, from: Endpoint): Outcome | undefined => {
    const fromServer = sameEndpoint(from, server);
    if (message.kind === 'error' && fromServer) {
      const { code, reason } = message.error ?? { code: 0, reason: '' };
      return { kind: 'refused', why: `error ${code}${reason && ` ${reason}`}` };
    }
    if (message.kind !== 'success') return undefined;
    if (!sameEndpoint(from, expected)) {
      return changed && fromServer ? { kind: 'refused', why: 'CHANGE-REQUEST ignored' } : undefined;
    }
    const mapped = message.xorMapped ?? message.mapped;
    if (!mapped) return undefined;
    if (!isPlausibleMapped(mapped, server, localAddresses)) {
      unbelievable = mapped;
      return undefined;
    }
    const other = message.other ?? message.changed;
    const believed = other && isPlausibleAlternate(other, server) ? other : undefined;
    const answer = { server, from, mapped, ms: elapsed(), ...(believed && { alternate: believed }) };
    return { kind: 'answer', answer };
  };

  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    let timer: NodeJS.Timeout | undefined;
    const unsubscribe = socket.subscribe((data, from) => {
      const message = repeatsId(data, id) ? decodeStun(data) : undefined;
      const outcome = message && read(message, from);
      if (outcome) finish(() => resolve(outcome));
    });
    const onAbort = () => finish(() => reject(signal?.reason));
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      unsubscribe();
      signal?.removeEventListener('abort', onAbort);
      settle();
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    const transmit = (attempt: number) => {
      const wait = schedule[attempt];
      if (wait === undefined) {
        return finish(() =>
          resolve({ kind: 'silent', ms: elapsed(), ...(unbelievable && { unbelievable }) }),
        );
      }
      void socket.send(request, server);
      timer = setTimeout(transmit, wait, attempt + 1);
    };
    transmit(0);
  });
}

/** The error that says why a transaction brought no endpoint; undefined for an answer. */
export function outcomeError(server: Endpoint, outcome: Outcome): AwlError | undefined {
  const name = `STUN server ${formatEndpoint(server)}`;
  const other = 'choose another server with --stun-server';
  if (outcome.kind === 'answer') return undefined;
  if (outcome.kind === 'refused') {
    return new AwlError('STUN_UNREACHABLE', `${name} refused: ${outcome.why}`, { hint: other });
  }
  if (outcome.unbelievable) {
    const claim = formatEndpoint(outcome.unbelievable);
    return new AwlError('STUN_UNREACHABLE', `${name} says that we are ${claim}, which cannot be`, {
      hint: other,
    });
  }
  const seconds = (outcome.ms / 1000).toFixed(1);
  return new AwlError('STUN_UNREACHABLE', `${name} did not answer within ${seconds} s`, {
    hint: 'check the name and port in --stun-server and that UDP may leave this network; `awl doctor` tells more',
  });
}

/**
 * Asks `server` where it sees `socket`.
 * @throws AwlError STUN_UNREACHABLE naming the server; the signal's reason when aborted
 */
export async function bind(
  socket: UdpSocket,
  server: Endpoint,
  options: BindOptions = {},
): Promise<BindingAnswer> {
  let request = options;
  if ((options.changeIp || options.changePort) && !options.alternate) {
    const { alternate } = await bind(socket, server, { ...options, changeIp: false, changePort: false });
    if (!alternate) {
      const why = `STUN server ${formatEndpoint(server)} has no other address to answer from`;
      throw new AwlError('STUN_UNREACHABLE', why, { hint: 'choose a server that follows RFC 5780' });
    }
    request = { ...options, alternate };
  }
  const outcome = await transact(socket, server, request);
  if (outcome.kind === 'answer') return outcome.answer;
  throw outcomeError(server, outcome) ?? new AwlError('INTERNAL', 'a STUN transaction ended without outcome');
}
