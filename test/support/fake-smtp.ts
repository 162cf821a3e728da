import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { selfSigned } from './fake-imap.js';

/** A submission server over TLS that knows logins and notes what else it is told. */
export class FakeSmtp {
  readonly commands: string[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<TLSSocket>();

  private constructor(refuses: boolean) {
    this.#server = createServer(selfSigned(), (socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.write('220 fake\r\n');
      let rest = '';
      socket.on('data', (data) => {
        rest += data.toString('latin1');
        const lines = rest.split('\r\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          const [command = ''] = line.toUpperCase().split(' ');
          this.commands.push(command);
          if (command === 'EHLO') socket.write('250-fake\r\n250 AUTH PLAIN\r\n');
          else if (command === 'AUTH') socket.write(refuses ? '535 5.7.8 wrong\r\n' : '235 fine\r\n');
          else if (command === 'QUIT') socket.end('221 bye\r\n');
          else socket.write('250 fine\r\n');
        }
      });
    });
  }

  static async start({ refuses = false } = {}): Promise<FakeSmtp> {
    const fake = new FakeSmtp(refuses);
    fake.#server.listen(0, '127.0.0.1');
    await once(fake.#server, 'listening');
    return fake;
  }

  get place() {
    return { host: 'localhost', port: (this.#server.address() as AddressInfo).port };
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
