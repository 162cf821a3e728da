import type { Socket } from 'node:net';

/** What went through the connections of one teleportation, open ones included. */
export class Traffic {
  /** With what was read and written before it was ours: a proxy's greeting. */
  readonly #open = new Map<Socket, readonly [read: number, written: number]>();
  #connections = 0;
  #sent = 0;
  #received = 0;

  /** Counts a TCP connection of ours until it ends. */
  add(socket: Socket): void {
    this.#connections += 1;
    const [read, written] = [socket.bytesRead, socket.bytesWritten];
    this.#open.set(socket, [read, written]);
    socket.once('close', () => {
      this.#open.delete(socket);
      this.#sent += socket.bytesRead - read;
      this.#received += socket.bytesWritten - written;
    });
  }

  /** Connections so far, bytes from them into the path, and bytes from the path to them. */
  get counts(): { readonly connected: number; readonly sent: number; readonly received: number } {
    let [sent, received] = [this.#sent, this.#received];
    for (const [{ bytesRead, bytesWritten }, [read, written]] of this.#open) {
      sent += bytesRead - read;
      received += bytesWritten - written;
    }
    return { connected: this.#connections, sent, received };
  }
}
