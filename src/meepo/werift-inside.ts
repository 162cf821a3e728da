import type { RTCPeerConnection } from 'werift';

/**
 * What this room needs of werift 0.24.4 and its types hide: the receive window, without which a fast peer fills the
 * memory of a slow reader. The version is pinned for this file's sake.
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
