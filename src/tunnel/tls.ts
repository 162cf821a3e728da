import type { Socket } from 'node:net';
import { connect, createSecureContext, TLSSocket } from 'node:tls';
import { AwlError, errorText } from '../errors.js';
import type { Endpoint } from '../util/endpoint.js';
import { tcpInfo } from '../util/tcp-info.js';
import type { PunchRole } from '../wire/confirm.js';
import { deriveTunnelKeys } from '../wire/tunnel-keys.js';
import { channelProof, isChannelProof, type TunnelTcpKeys } from '../wire/tunnel-tcp-keys.js';
import type { Carrier, DatagramPort } from './carrier.js';
import { TlsStream } from './tls-stream.js';

const IDENTITY = 'awl';
const EXPORTER = 'EXPORTER-awl-tunnel-v1';
const PROOF_BYTES = 32;
/** TLS handshake and proofs: two round trips. */
const TLS_MS = 5_000;
/** A pre-shared key in TLS 1.3 goes with a cipher suite of SHA-256 (RFC 8446 section 4.2.11). */
const SUITE = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256',
} as const;

/** A TLS session whose peer proved that it holds the session key, as its server or client. */
export interface ProvenTls {
  readonly socket: TLSSocket;
  /** Inviter only: tells the acceptor that of all connections this one counts. */
  choose(): void;
}

/**
 * TLS 1.3 over a connected socket, with the session key as pre-shared key and fresh keys agreed on (psk_dhe_ke), so no
 * certificates: node:tls in server mode hands over data of clients with foreign ones. The acceptor is the server. Each
 * side also says a proof that binds the session key to this TLS session. Resolves for the inviter when the acceptor's
 * proof is right, for the acceptor when the inviter chose this connection; on failure the socket is destroyed.
 * @throws AwlError TUNNEL_LOST; the signal's reason
 */
export async function proveTls(
  raw: Socket,
  role: PunchRole,
  keys: TunnelTcpKeys,
  signal: AbortSignal,
): Promise<ProvenTls> {
  const over = AbortSignal.any([signal, AbortSignal.timeout(TLS_MS)]);
  const socket = role === 'accept' ? serve(raw, keys.psk) : join(raw, keys.psk);
  // Later users have their own; an error between two of them must not end the process.
  socket.on('error', () => {});
  raw.on('error', () => {});
  try {
    await secured(socket, role, over);
    const exported = socket.exportKeyingMaterial(PROOF_BYTES, EXPORTER, Buffer.alloc(0));
    const own = channelProof(keys.proofs[role], exported);
    if (role === 'accept') socket.write(own);
    const said = await readExactly(socket, PROOF_BYTES, over);
    const theirs = keys.proofs[role === 'accept' ? 'invite' : 'accept'];
    if (!isChannelProof(theirs, exported, said)) throw unproven('its proof is wrong');
    return { socket, choose: () => void socket.write(own) };
  } catch (error) {
    socket.destroy();
    raw.destroy();
    throw error;
  }
}

function serve(raw: Socket, psk: Buffer): TLSSocket {
  // Not all of this is in Node's type for the constructor, which takes what a server's connections take.
  const options = {
    isServer: true,
    secureContext: createSecureContext(SUITE),
    pskCallback: (_socket: TLSSocket, identity: string) => (identity === IDENTITY ? psk : null),
  };
  return new TLSSocket(raw, options);
}

function join(raw: Socket, psk: Buffer): TLSSocket {
  const options = {
    socket: raw,
    ...SUITE,
    // No certificate is good enough: only the key counts.
    ca: [],
    checkServerIdentity: () => unproven('it shows a certificate'),
    pskCallback: () => ({ identity: IDENTITY, psk }),
  };
  return connect(options);
}

function secured(socket: TLSSocket, role: PunchRole, over: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: unknown) => {
      over.removeEventListener('abort', onAbort);
      socket.removeListener('error', onError);
      socket.removeListener('close', onClose);
      if (error) return reject(error);
      // What a handshake with a pre-shared key is called; one with certificates proves nothing here.
      if (!socket.isSessionReused()) return reject(unproven('it did not use the key'));
      resolve();
    };
    const onAbort = () => done(over.reason);
    const onError = (cause: Error) => done(unproven(errorText(cause)));
    const onClose = () => done(unproven('it closed the connection'));
    socket.once(role === 'accept' ? 'secure' : 'secureConnect', () => done());
    socket.on('error', onError);
    socket.on('close', onClose);
    over.addEventListener('abort', onAbort, { once: true });
    if (over.aborted) onAbort();
  });
}

/** The next bytes of the stream; what follows stays in it. */
function readExactly(socket: TLSSocket, count: number, over: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const done = (settle: () => void) => {
      over.removeEventListener('abort', onAbort);
      socket.removeListener('readable', look);
      socket.removeListener('close', onClose);
      settle();
    };
    const look = () => {
      const bytes: Buffer | null = socket.read(count);
      if (bytes) done(() => resolve(bytes));
    };
    const onAbort = () => done(() => reject(over.reason));
    const onClose = () => done(() => reject(unproven('it closed the connection')));
    socket.on('readable', look);
    socket.on('close', onClose);
    over.addEventListener('abort', onAbort, { once: true });
    if (over.aborted) onAbort();
    else look();
  });
}

function unproven(what: string): AwlError {
  return new AwlError('TUNNEL_LOST', `TCP leads to somebody who is not the peer: ${what}`);
}

/** Datagrams that outlive the carrier they came with. */
export interface KeptDatagrams extends DatagramPort {
  close(): Promise<void>;
}

/** The carrier over TCP and TLS: records go bare; datagrams go on beside it, over UDP, under keys of their own. */
export function tcpCarrier(
  socket: TLSSocket,
  role: PunchRole,
  keys: TunnelTcpKeys,
  o: { readonly peer: Endpoint; readonly datagrams?: KeptDatagrams },
): Carrier {
  return {
    kind: 'tcp',
    peer: o.peer,
    stream: new TlsStream(socket),
    keys: deriveTunnelKeys(keys.carrier, role),
    secure: true,
    stats: () => tcpInfo(socket) ?? {},
    ...(o.datagrams && { datagrams: o.datagrams }),
    close: async () => {
      socket.destroy();
      await o.datagrams?.close();
    },
  };
}
