import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Gateway } from '../../src/stun/portmap/mapper.js';

type Reply = Buffer | string | undefined;

export interface RouterBehaviour {
  /** Answers to datagrams on port 5351. */
  readonly pcp?: (request: Buffer) => Reply | readonly Reply[];
  /** The LOCATION that is told to who searches; given the port of the description. */
  readonly location?: (port: number) => string;
  /** Answers over HTTP: status and body. */
  readonly http?: (request: IncomingMessage, body: string) => readonly [status: number, body: string];
}

/** A router on a loopback address: it speaks what the test lets it, and remembers what it was asked. */
export class FakeRouter {
  readonly where: Gateway;
  readonly asked: string[] = [];
  readonly #sockets: Socket[] = [];
  #web: Server | undefined;

  private constructor(where: Gateway) {
    this.where = where;
  }

  /** `address` must be of this test alone: the ports are those of the protocols. */
  static async start(address: string, behaviour: RouterBehaviour): Promise<FakeRouter> {
    const router = new FakeRouter({ gateway: address, local: '127.0.0.1' });
    await router.#start(behaviour);
    return router;
  }

  async #start({ pcp, location, http }: RouterBehaviour): Promise<void> {
    if (pcp) {
      await this.#listen(5351, (data) => {
        this.asked.push(`pcp ${data.toString('hex')}`);
        return [pcp(data)].flat();
      });
    }
    if (http) await this.#serve(http);
    if (!location) return;
    const { port } = (this.#web?.address() ?? { port: 0 }) as AddressInfo;
    await this.#listen(1900, () => [`HTTP/1.1 200 OK\r\nLOCATION: ${location(port)}\r\n\r\n`]);
  }

  async #serve(http: NonNullable<RouterBehaviour['http']>): Promise<void> {
    const web = createServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      request.on('end', () => {
        const action = /#(\w+)"/.exec(String(request.headers['soapaction']))?.[1];
        this.asked.push(action ?? `${request.method} ${request.url}`);
        const [status, text] = http(request, body);
        response.writeHead(status, status === 302 ? { Location: text } : {});
        response.end(text);
      });
    });
    this.#web = web.listen(0, this.where.gateway);
    await once(web, 'listening');
  }

  async #listen(port: number, answer: (data: Buffer) => readonly Reply[]): Promise<void> {
    const socket = createSocket('udp4');
    socket.bind(port, this.where.gateway);
    await once(socket, 'listening');
    socket.on('message', (data, from) => {
      for (const reply of answer(data)) if (reply !== undefined) socket.send(reply, from.port, from.address);
    });
    this.#sockets.push(socket);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.close();
    this.#web?.closeAllConnections();
    await new Promise<void>((resolve) => (this.#web ? this.#web.close(() => resolve()) : resolve()));
  }
}
