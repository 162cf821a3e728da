import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

/** A server that takes RESP commands and lets the test say what comes back. */
export interface FakeRedis {
  readonly port: number;
  /** Connections so far. */
  connections: number;
  /** What somebody subscribed to. */
  readonly channels: ReadonlySet<string>;
  /** Says something to whoever subscribed to a channel. */
  publish(channel: string, text: string): void;
  close(): Promise<void>;
}

/** One bulk string on the wire. */
export const bulk = (text: string) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;

/** Whole commands at the beginning of `text`, and what is left. Latin-1 text, so that characters are octets. */
function commandsOf(text: string): { commands: string[][]; rest: string } {
  const commands: string[][] = [];
  let rest = text;
  for (;;) {
    const [head = '', count] = /^\*(\d+)\r\n/.exec(rest) ?? [];
    let at = head.length;
    const words: string[] = [];
    while (count !== undefined && words.length < Number(count)) {
      const [line = '', length] = /^\$(\d+)\r\n/.exec(rest.slice(at, at + 24)) ?? [];
      const end = at + line.length + Number(length);
      if (length === undefined || rest.length < end + 2) return { commands, rest };
      words.push(rest.slice(at + line.length, end));
      at = end + 2;
    }
    if (count === undefined) return { commands, rest };
    commands.push(words);
    rest = rest.slice(at);
  }
}

/** @param answer what to say to a command instead of the ordinary answer, as bytes of the wire */
export async function fakeRedis(
  answer: (words: readonly string[], socket: Socket) => string | Buffer | undefined = () => undefined,
  at: { readonly host?: string; readonly port?: number } = {},
): Promise<FakeRedis> {
  const heard = new Map<string, Set<Socket>>();
  const sockets = new Set<Socket>();
  const ordinary = ([name = '', channel = '', text = '']: readonly string[], socket: Socket): string => {
    if (/^subscribe$/i.test(name)) {
      heard.set(channel, (heard.get(channel) ?? new Set()).add(socket));
      return `*3\r\n${bulk('subscribe')}${bulk(channel)}:1\r\n`;
    }
    if (/^publish$/i.test(name)) {
      fake.publish(channel, text);
      return ':1\r\n';
    }
    return '+OK\r\n';
  };
  const server = createServer((socket) => {
    fake.connections += 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => {
      sockets.delete(socket);
      for (const set of heard.values()) set.delete(socket);
    });
    let waiting = '';
    socket.on('data', (data) => {
      const { commands, rest } = commandsOf(waiting + data.toString('latin1'));
      waiting = rest;
      for (const words of commands) socket.write(answer(words, socket) ?? ordinary(words, socket));
    });
  }).listen(at.port ?? 0, at.host ?? '127.0.0.1');
  await once(server, 'listening');
  const fake: FakeRedis = {
    port: (server.address() as AddressInfo).port,
    connections: 0,
    get channels() {
      return new Set(heard.keys());
    },
    publish(channel, text) {
      const message = `*3\r\n${bulk('message')}${bulk(channel)}${bulk(text)}`;
      for (const socket of heard.get(channel) ?? []) socket.write(message);
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      if (!server.listening) return;
      server.close();
      await once(server, 'close');
    },
  };
  return fake;
}
