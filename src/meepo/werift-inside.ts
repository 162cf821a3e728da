import type { Socket } from 'node:dgram';
import type { RTCPeerConnection } from 'werift';
import { offload } from '../util/offload.js';
import { type DtlsKeys, splitJoined } from '../wire/dtls-record.js';
import { DataChannels, type DataChannelsPort } from './data-channels.js';
import { DtlsData } from './dtls-data.js';

/**
 * What this room takes of werift 0.24.4: descriptions, ICE and the handshake of DTLS. Its SCTP spends 150 µs a packet, with no
 * window that a slow reader could close, and its records cost as much as the kernel does, so that both are our own; the version is
 * pinned for this file's sake, and a test makes a path of it.
 */

interface InsideProtocol {
  readonly type?: string;
  readonly transport?: {
    readonly type?: string;
    readonly socket?: Socket;
    onData?: (data: Buffer, from: unknown) => void;
  };
}

interface InsideIce {
  readonly protocols?: readonly InsideProtocol[];
  readonly nominated?: {
    readonly protocol?: InsideProtocol;
    readonly remoteAddr?: readonly [string, number];
  };
  canSendApplicationData(): boolean;
  send(data: Buffer): Promise<void>;
}

interface InsideDtls {
  readonly cipher: {
    readonly cipher?: {
      readonly blockAlgorithm?: unknown;
      readonly clientWriteKey?: unknown;
      readonly serverWriteKey?: unknown;
      readonly clientNonce?: unknown;
      readonly serverNonce?: unknown;
    };
  };
  readonly transport: { readonly socket: { onData?: (data: Buffer) => void } };
  readonly onClose: { execute(): void };
}

const CHANGED = 'werift is not the version that we know';

function parts(connection: RTCPeerConnection) {
  const transport = connection.sctpTransport;
  const { dtlsTransport } = transport ?? {};
  const ice = dtlsTransport?.iceTransport.connection as InsideIce | undefined;
  const changed =
    typeof transport?.start !== 'function' ||
    typeof transport.stop !== 'function' ||
    typeof ice?.send !== 'function' ||
    typeof ice.canSendApplicationData !== 'function' ||
    typeof dtlsTransport?.dataReceiver !== 'function';
  if (!transport || !dtlsTransport || changed) throw new Error(CHANGED);
  return { transport, dtlsTransport, ice };
}

/** What the handshake agreed on: the client's secrets and the server's. @throws Error */
function secrets({ cipher: { cipher } }: InsideDtls): {
  readonly client: DtlsKeys;
  readonly server: DtlsKeys;
} {
  const name = cipher?.blockAlgorithm;
  if (name !== 'aes-128-gcm' && name !== 'aes-256-gcm') throw new Error(CHANGED);
  const of = (key: unknown, nonce: unknown): DtlsKeys => {
    if (!Buffer.isBuffer(key) || !Buffer.isBuffer(nonce)) throw new Error(CHANGED);
    return { cipher: name, key: Buffer.from(key), salt: Buffer.from(nonce.subarray(0, 4)) };
  };
  return {
    client: of(cipher?.clientWriteKey, cipher?.clientNonce),
    server: of(cipher?.serverWriteKey, cipher?.serverNonce),
  };
}

/**
 * Puts data channels of our own on the DTLS of a connection that has described them, before it connects.
 * @throws Error if werift is another one
 */
export function takeOver(
  connection: RTCPeerConnection,
  port: Omit<DataChannelsPort, 'send'>,
  isUrgent: (label: string) => boolean,
): DataChannels {
  const { transport, dtlsTransport, ice } = parts(connection);
  // Without this word werift never says that it is connected; it listens for it right behind `start`.
  let ready = false;
  const tell = () => transport.sctp.stateChanged.connected.execute();
  let data: DtlsData | undefined;
  const channels = new DataChannels(
    {
      ...port,
      send: (packets) => data?.send(packets),
      ready: () => {
        ready = true;
        tell();
        port.ready();
      },
    },
    isUrgent,
  );
  dtlsTransport.dataReceiver = () => {};
  transport.start = async () => {
    const begins = dtlsTransport.iceTransport.role === 'controlling';
    const isClient = dtlsTransport.role === 'client';
    // Only now the certificate was compared with the one that the description names.
    const dtls = dtlsTransport.dtls as unknown as InsideDtls;
    const { client, server } = secrets(dtls);
    const { socket } = dtls.transport;
    const handshake = socket.onData;
    const send = sender(ice);
    const [ours, theirs] = isClient ? [client, server] : [server, client];
    data = new DtlsData(
      {
        send,
        handshake: (record) => handshake?.(record),
        data: (packet) => channels.receive(packet),
        closed: () => dtls.onClose.execute(),
      },
      ours,
      theirs,
      isClient,
    );
    const inside = data;
    socket.onData = (datagram) => inside.receive(datagram);
    setImmediate(() => {
      if (ready) tell();
      channels.start({ begins, isClient });
    });
  };
  transport.stop = async () => channels.end();
  return channels;
}

/** What a kernel says of datagrams that it does not cut, or not for this path. */
const NOT_CUT = ['EMSGSIZE', 'EINVAL', 'EIO'];
/** By socket: whether its kernel cuts what is sent, and at how many bytes. */
const cutting = new WeakMap<Socket, { cut(bytes: number): boolean; each: number }>();

/** Sends runs of records, each a datagram, over the pair of addresses that ICE has chosen. */
function sender(ice: InsideIce): (records: Buffer, each: number) => void {
  const single = (record: Buffer) => void ice.send(record).catch(() => {});
  const cut = (records: Buffer, each: number): boolean => {
    const { protocol, remoteAddr } = ice.nominated ?? {};
    const socket = protocol?.transport?.socket;
    const cutter = socket && cutting.get(socket);
    if (!socket || !cutter || !remoteAddr || !ice.canSendApplicationData()) return false;
    if (cutter.each !== each && !cutter.cut(each)) return false;
    cutter.each = each;
    socket.send(records, remoteAddr[1], remoteAddr[0], (error) => {
      if (!error || !NOT_CUT.includes((error as NodeJS.ErrnoException).code ?? '')) return;
      // What was lost goes out again, one by one.
      cutter.cut(0);
      cutting.delete(socket);
    });
    return true;
  };
  return (records, each) => {
    if (records.length <= each) single(records);
    else if (!cut(records, each)) {
      for (let at = 0; at < records.length; at += each) single(records.subarray(at, at + each));
    }
  };
}

/** The kernel's default holds 90 packets of SCTP; what is lost beyond them is sent twice. */
const SOCKET_BYTES = 4 * 1024 * 1024;

/**
 * Gives the sockets of a connection that has gathered its candidates room for what comes while we compute, and lets the
 * kernel cut and join datagrams where it can.
 */
export function widenSockets(connection: RTCPeerConnection): void {
  for (const { connection: ice } of connection.iceTransports as unknown as readonly {
    readonly connection?: InsideIce;
  }[]) {
    for (const { type, transport } of ice?.protocols ?? []) {
      const { socket, onData } = transport ?? {};
      try {
        socket?.setRecvBufferSize?.(SOCKET_BYTES);
      } catch {
        // The limits of this system are lower, or the socket is gone.
      }
      if (!transport || !socket || !onData || type !== 'stun' || cutting.has(socket)) continue;
      const inside = offload(socket);
      if (!inside) continue;
      cutting.set(socket, { ...inside, each: 0 });
      transport.onData = (data, from) => {
        for (const piece of splitJoined(data)) onData(piece, from);
      };
    }
  }
}
