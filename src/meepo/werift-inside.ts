import type { RTCPeerConnection } from 'werift';

/**
 * What this room needs of werift 0.24.4 and its types hide: the receive window, without which a fast peer fills the
 * memory of a slow reader, and the sockets. The version is pinned for this file's sake.
 */
interface InsideSctp {
  advertisedRwnd: number;
  sackNeeded: boolean;
  isStopped: boolean;
  sendSack(): Promise<void>;
}

function inside(connection: RTCPeerConnection): InsideSctp | undefined {
  return connection.sctpTransport?.sctp as unknown as InsideSctp | undefined;
}

/** Takes from (negative) or gives back to the window that the peer is told; giving back tells it at once. */
export function moveWindow(connection: RTCPeerConnection, bytes: number): void {
  const sctp = inside(connection);
  if (!sctp) return;
  sctp.advertisedRwnd += bytes;
  if (bytes <= 0 || sctp.isStopped) return;
  // Without a word the peer would wait for its next probe, and a werift peer sends none.
  sctp.sackNeeded = true;
  sctp.sendSack().catch(() => {});
}

/** The kernel's default holds 90 packets of SCTP; each that is lost beyond them costs the sender up to a second. */
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
