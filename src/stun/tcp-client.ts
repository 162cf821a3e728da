import { connect, type Socket } from 'node:net';
import { AwlError, errorText } from '../errors.js';
import { type Endpoint, familyOf, formatEndpoint } from '../util/endpoint.js';
import { decodeStun, encodeStun, repeatsId } from '../wire/stun.js';
import { StunStream } from '../wire/stun-stream.js';
import { newStunId } from './client.js';
import { localAddresses } from './own-address.js';
import { isPlausibleAlternate, isPlausibleMapped } from './sanity.js';
import { STUN_TCP_MESSAGE_BYTES, STUN_TCP_MS } from './tcp-limits.js';

/** A server's answer over TCP, and the connection that keeps the local port and its mapping until it is destroyed. */
export interface TcpBinding {
  readonly server: Endpoint;
  /** The local end; its port was chosen by the kernel if none was asked for. */
  readonly local: Endpoint;
  /** Where the server saw us. */
  readonly mapped: Endpoint;
  readonly alternate?: Endpoint;
  readonly socket: Socket;
}

/**
 * One Binding transaction over TCP from `local` (RFC 8489 section 6.2.2); port 0 lets the kernel choose. Others may
 * connect from the same port meanwhile and later: libuv sets SO_REUSEADDR.
 * @throws AwlError STUN_UNREACHABLE naming the server; the signal's reason when aborted
 */
export function bindTcp(local: Endpoint, server: Endpoint, signal?: AbortSignal): Promise<TcpBinding> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const id = newStunId();
    const stream = new StunStream(STUN_TCP_MESSAGE_BYTES);
    const socket = connect({
      host: server.address,
      port: server.port,
      localAddress: local.address,
      ...(local.port !== 0 && { localPort: local.port }),
      noDelay: true,
      lookup: (host, _options, done) => done(null, host, familyOf(server)),
    });
    const timer = setTimeout(
      () => fail(`did not answer over TCP within ${STUN_TCP_MS / 1000} s`),
      STUN_TCP_MS,
    );
    const onAbort = () => finish(() => reject(signal?.reason), true);
    const finish = (settle: () => void, end: boolean) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.removeAllListeners();
      socket.on('error', () => {});
      if (end) socket.destroy();
      settle();
    };
    const fail = (what: string) => finish(() => reject(unreachable(server, what)), true);
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.on('error', (error) => fail(`cannot be reached over TCP: ${errorText(error)}`));
    socket.on('close', () => fail('closed the TCP connection without an answer'));
    socket.on('connect', () => socket.write(encodeStun({ kind: 'request', id })));
    socket.on('data', (piece: Buffer) => {
      const messages = stream.take(piece);
      if (!messages) return fail('speaks something else over TCP');
      for (const data of messages) {
        const message = repeatsId(data, id) ? decodeStun(data) : undefined;
        if (!message) continue;
        const mapped = message.xorMapped ?? message.mapped;
        if (message.kind !== 'success' || !mapped) return fail('refused over TCP');
        if (!isPlausibleMapped(mapped, server, localAddresses)) {
          return fail(`says that we are ${formatEndpoint(mapped)}, which cannot be`);
        }
        const other = message.other ?? message.changed;
        const believed = other && isPlausibleAlternate(other, server) ? other : undefined;
        const bound = {
          address: socket.localAddress ?? local.address,
          port: socket.localPort ?? local.port,
        };
        const answer = { server, local: bound, mapped, socket, ...(believed && { alternate: believed }) };
        // Nothing more is expected; what comes is thrown away, and the end of it is seen.
        return finish(() => resolve(answer), false);
      }
    });
  });
}

function unreachable(server: Endpoint, what: string): AwlError {
  return new AwlError('STUN_UNREACHABLE', `STUN server ${formatEndpoint(server)} ${what}`, {
    hint: 'name a server that answers over TCP with --tcp-stun; awl stun-server does',
  });
}
