import type { RTCPeerConnection } from 'werift';
import { DataChannels, type DataChannelsPort } from './data-channels.js';

/**
 * What this room takes of werift 0.24.4: descriptions, ICE and DTLS. Its SCTP spends 150 µs a packet, with no window that a slow
 * reader could close, so that the association is our own; the version is pinned for this file's sake, and a
 * test makes a path of it.
 */
function parts(connection: RTCPeerConnection) {
  const transport = connection.sctpTransport;
  const { dtlsTransport } = transport ?? {};
  const changed =
    typeof transport?.start !== 'function' ||
    typeof transport.stop !== 'function' ||
    typeof dtlsTransport?.sendData !== 'function' ||
    typeof dtlsTransport.dataReceiver !== 'function';
  if (!transport || !dtlsTransport || changed) throw new Error('werift is not the version that we know');
  return { transport, dtlsTransport };
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
  const { transport, dtlsTransport } = parts(connection);
  // Without this word werift never says that it is connected; it listens for it right behind `start`.
  let ready = false;
  const tell = () => transport.sctp.stateChanged.connected.execute();
  const channels = new DataChannels(
    {
      ...port,
      send: (packet) => void dtlsTransport.sendData(packet).catch(() => {}),
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
    // Only now the certificate was compared with the one that the description names.
    dtlsTransport.dataReceiver = (packet) => channels.receive(packet);
    setImmediate(() => {
      if (ready) tell();
      channels.start({ begins, isClient: dtlsTransport.role === 'client' });
    });
  };
  transport.stop = async () => channels.end();
  return channels;
}

/** The kernel's default holds 90 packets of SCTP; what is lost beyond them is sent twice. */
const SOCKET_BYTES = 4 * 1024 * 1024;

interface InsideIce {
  readonly connection?: {
    readonly protocols?: readonly {
      readonly transport?: { readonly socket?: { setRecvBufferSize?(bytes: number): void } };
    }[];
  };
}

/** Gives the sockets of a connection that has gathered its candidates room for what comes while we compute. */
export function widenSockets(connection: RTCPeerConnection): void {
  for (const { connection: ice } of connection.iceTransports as unknown as readonly InsideIce[]) {
    for (const { transport } of ice?.protocols ?? []) {
      try {
        transport?.socket?.setRecvBufferSize?.(SOCKET_BYTES);
      } catch {
        // The limits of this system are lower, or the socket is gone.
      }
    }
  }
}
