import { connect, type Socket } from 'node:net';
import { AwlError, errorText } from '../../errors.js';
import { splitAddress } from '../../wire/acl.js';
import {
  encodeCredentials,
  encodeGreeting,
  encodeRequest,
  readChoice,
  readCredentialsAnswer,
  readReply,
  SOCKS5_METHODS,
  SOCKS5_REPLIES,
} from '../../wire/socks5.js';
import type { MeepoContext } from './context.js';

const HANDSHAKE_MAX_BYTES = 1024;

/** Reads exactly the proxy's messages and leaves everything behind them on the socket. */
class Dialogue {
  readonly #socket: Socket;
  #bytes = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  async read<T extends { readonly length: number }>(
    reader: (bytes: Uint8Array) => T | undefined,
  ): Promise<T> {
    for (;;) {
      const got = reader(this.#bytes);
      if (got) {
        this.#bytes = this.#bytes.subarray(got.length);
        return got;
      }
      const more = (this.#socket.read() as Buffer | null) ?? undefined;
      if (more) this.#bytes = Buffer.concat([this.#bytes, more]);
      else if (this.#socket.readableEnded || this.#socket.destroyed) throw new Error('the proxy hung up');
      else await new Promise((resolve) => this.#once(resolve));
      if (this.#bytes.length > HANDSHAKE_MAX_BYTES * 64) throw new Error('the proxy says too much');
    }
  }

  rest(): Buffer {
    return this.#bytes;
  }

  #once(call: (value: unknown) => void): void {
    const all = ['readable', 'end', 'close', 'error'] as const;
    const done = () => {
      for (const name of all) this.#socket.off(name, done);
      call(undefined);
    };
    for (const name of all) this.#socket.on(name, done);
  }
}

function failed(what: string): AwlError {
  return new AwlError('MEEPO_UNAVAILABLE', what, {
    hint: 'the node must run, and the service of the peer be reachable',
  });
}

/** `ncat HOST PORT`: stdio through the node's SOCKS port; ends when both directions have ended. */
export async function runNcat({ words, flags, signal }: MeepoContext): Promise<number> {
  const type = flags.get('proxy-type') ?? 'socks5';
  if (type !== 'socks5') {
    throw new AwlError('USAGE_BAD_VALUE', `unsupported proxy type: ${type.slice(0, 40)}`);
  }
  const auth = flags.get('proxy-auth');
  const [, user, password] = /^([^:]+):(.*)$/s.exec(auth ?? '') ?? [];
  if (auth !== undefined && (user === undefined || password === undefined)) {
    throw new AwlError('USAGE_BAD_VALUE', 'invalid proxy authentication', { hint: 'write user:password' });
  }
  const proxy = splitAddress(flags.get('proxy') ?? '127.0.0.1:12341');
  const [host = '', port = ''] = words;
  if (!proxy || !/^\d{1,5}$/.test(proxy.port) || !/^\d{1,5}$/.test(port)) {
    throw new AwlError('USAGE_BAD_VALUE', 'a port is no number', { hint: 'awl meepo ncat HOST PORT' });
  }
  const socket = connect({ host: proxy.host || '127.0.0.1', port: Number(proxy.port), allowHalfOpen: true });
  const onAbort = () => socket.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await greet(socket, { host, port: Number(port) }, user, password);
    return await pump(socket);
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof AwlError ? error : failed(errorText(error));
  } finally {
    signal.removeEventListener('abort', onAbort);
    socket.destroy();
  }
}

async function greet(
  socket: Socket,
  to: { readonly host: string; readonly port: number },
  user: string | undefined,
  password: string | undefined,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  socket.on('error', () => {});
  const dialogue = new Dialogue(socket);
  const method = user === undefined ? SOCKS5_METHODS.none : SOCKS5_METHODS.password;
  socket.write(encodeGreeting([method]));
  if ((await dialogue.read(readChoice)).method !== method)
    throw failed('the proxy wants another authentication');
  if (user !== undefined) {
    socket.write(encodeCredentials(user, password ?? ''));
    if (!(await dialogue.read(readCredentialsAnswer)).accepted)
      throw failed('the proxy refuses user and password');
  }
  socket.write(encodeRequest('connect', to));
  const { reply } = await dialogue.read(readReply);
  if (reply !== SOCKS5_REPLIES.succeeded) {
    const name = Object.entries(SOCKS5_REPLIES).find(([, code]) => code === reply)?.[0] ?? String(reply);
    throw failed(`the proxy cannot connect to ${JSON.stringify(to.host.slice(0, 80))}: ${name}`);
  }
  if (dialogue.rest().length > 0) socket.unshift(dialogue.rest());
}

async function pump(socket: Socket): Promise<number> {
  const { stdin, stdout } = process;
  stdin.pipe(socket);
  socket.pipe(stdout, { end: false });
  await new Promise<void>((resolve) => {
    socket.once('close', resolve);
  });
  stdin.destroy();
  return 0;
}
