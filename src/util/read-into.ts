import type { Socket } from 'node:net';

/** What the kernel hands over at once, at most: as much as Node would allocate for every read. */
const READ_BYTES = 65_536;

/** Reads are handed over before the next one begins, so that sockets can share it. */
let shared: Buffer | undefined;

/**
 * Lets a connected socket read into the same memory again and again, as the option `onread` of a new socket does, and
 * hands what came to `take`, which must not use its memory after it returned. Node has that option neither for a
 * server's connections nor for TLS over a socket, so the fields that it fills are filled here; every piece of a fast stream would
 * be an object and 64 kB of garbage otherwise. What was read before is handed over first. There is no `data` any more; `end`,
 * `error`, `close`, `pause()` and `resume()` are as ever, and the caller resumes.
 * False, and nothing has changed, where Node is built differently, or reads ahead as on Windows: listen to `data`.
 */
export function readInto(socket: Socket, take: (bytes: Uint8Array) => void, own?: Buffer): boolean {
  const handle = Reflect.get(socket, '_handle') as { useUserBuffer?: (space: Uint8Array) => void } | null;
  const fields = new Map(Object.getOwnPropertySymbols(socket).map((one) => [one.description, one]));
  const [space, call, renew] = ['kBuffer', 'kBufferCb', 'kBufferGen'].map((name) => fields.get(name));
  if (!space || !call || !renew || process.platform === 'win32' || socket.destroyed) return false;
  if (typeof handle?.useUserBuffer !== 'function') return false;
  for (let early: Buffer | null = socket.read(); early; early = socket.read()) take(early);
  // `take` may have given the socket up.
  if (socket.destroyed) return true;
  if (!own) shared ??= Buffer.allocUnsafeSlow(READ_BYTES);
  const memory = own ?? shared ?? Buffer.allocUnsafeSlow(READ_BYTES);
  handle.useUserBuffer(memory);
  Reflect.set(socket, renew, null);
  Reflect.set(socket, call, (count: number) => take(memory.subarray(0, count)));
  Reflect.set(socket, space, memory);
  return true;
}
