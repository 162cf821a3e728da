import { isIP } from 'node:net';
import { STUN_SERVER_BURST, STUN_SERVER_RATE_PER_S, STUN_SERVER_SOURCES } from '../constants.js';
import { AwlError, errorText, isAwlError } from '../errors.js';
import { type Logger, silentLogger } from '../log.js';
import { type Endpoint, familyOf, formatEndpoint, sameEndpoint } from '../util/endpoint.js';
import { addressToBytes, bytesToAddress } from '../util/ip-bytes.js';
import { UdpSocket } from '../util/udp.js';
import { decodeStun, encodeStun } from '../wire/stun.js';
import { answerBinding, type Reply, type ServerLayout } from './answer.js';
import { outboundAddress } from './own-address.js';
import { RateLimit } from './rate-limit.js';
import { classOf } from './sanity.js';
import { StunTcpListener } from './tcp-server.js';

export interface StunServerOptions {
  /**
   * One or two addresses of this machine, of one family: answers name them. A lone wildcard stands for the
   * address that this machine sends from to the outside.
   */
  readonly addresses: readonly string[];
  /** 0: the kernel chooses. */
  readonly port: number;
  /** 0: the kernel chooses. */
  readonly altPort: number;
  readonly log?: Logger;
  readonly now?: () => number;
}

export interface StunServerStats {
  readonly answered: number;
  /** Datagrams that were no Binding request, or came from where nobody can be. */
  readonly ignored: number;
  /** Requests over the rate limit of their source. */
  readonly limited: number;
}

/** Ports that the kernel chose for the first address may be taken at the second. */
const PORT_ATTEMPTS = 8;

/**
 * Embedded STUN server (RFC 5780, and RFC 3489 for plexus) on one or two addresses with two ports each, over UDP and,
 * where those ports are free, over TCP. One reply a request, never to its own sockets or port 0; sources are
 * rate-limited, because a request's source address can be forged.
 */
export class StunServer {
  readonly layout: ServerLayout;
  readonly #sockets: readonly UdpSocket[];
  readonly #log: Logger;
  readonly #now: () => number;
  readonly #limit = new RateLimit({
    burst: STUN_SERVER_BURST,
    perSecond: STUN_SERVER_RATE_PER_S,
    maxSources: STUN_SERVER_SOURCES,
  });
  #tcp: readonly StunTcpListener[] = [];
  #answered = 0;
  #ignored = 0;
  #limited = 0;

  private constructor(layout: ServerLayout, sockets: readonly UdpSocket[], options: StunServerOptions) {
    this.layout = layout;
    this.#sockets = sockets;
    this.#log = options.log ?? silentLogger;
    this.#now = options.now ?? (() => performance.now());
    for (const socket of sockets) socket.subscribe((data, from) => this.#receive(socket, data, from));
  }

  /**
   * Binds all sockets.
   * @throws AwlError USAGE_BAD_VALUE for addresses that cannot work, UDP_BIND when one cannot be had
   */
  static async start(options: StunServerOptions): Promise<StunServer> {
    const addresses = checkAddresses(await expandWildcard(options.addresses));
    if (options.port === options.altPort && options.port !== 0) {
      throw new AwlError('USAGE_BAD_VALUE', `port and alternate port are both ${options.port}`, {
        hint: 'choose two different ports',
      });
    }
    for (let attempt = 1; ; attempt++) {
      const sockets: UdpSocket[] = [];
      try {
        const ports: number[] = [];
        for (const wanted of [options.port, options.altPort]) {
          let port = wanted;
          for (const address of addresses) {
            const socket = await UdpSocket.bind({ address, port });
            sockets.push(socket);
            port = socket.local.port;
          }
          ports.push(port);
        }
        const [port = 0, altPort = 0] = ports;
        const server = new StunServer({ addresses, port, altPort }, sockets, options);
        await server.#listenTcp();
        return server;
      } catch (error) {
        await Promise.all(sockets.map((socket) => socket.close()));
        const chosenByKernel = options.port === 0 || options.altPort === 0;
        if (!chosenByKernel || attempt === PORT_ATTEMPTS || !isAwlError(error)) throw withListenHint(error);
      }
    }
  }

  /** The main endpoint: what clients are told to use. */
  get endpoint(): Endpoint {
    return { address: this.layout.addresses[0], port: this.layout.port };
  }

  get stats(): StunServerStats {
    return { answered: this.#answered, ignored: this.#ignored, limited: this.#limited };
  }

  /** Gives all ports back. Idempotent. */
  async close(): Promise<void> {
    await Promise.all([...this.#sockets, ...this.#tcp].map((socket) => socket.close()));
  }

  /** The same ports over TCP; one that is taken there leaves the UDP one as it is. */
  async #listenTcp(): Promise<void> {
    const respond = (message: Buffer, from: Endpoint, own: Endpoint) => {
      const reply = this.#reply(message, from, own);
      // A reply cannot come from elsewhere over TCP.
      return reply && sameEndpoint(reply.from, own) ? encodeStun(reply.message) : undefined;
    };
    const listening = await Promise.allSettled(
      this.#sockets.map(({ local }) => StunTcpListener.listen(local, respond)),
    );
    this.#tcp = listening.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failed = listening.find((result) => result.status === 'rejected');
    if (failed) this.#log.warning(`STUN is not served over TCP everywhere: ${errorText(failed.reason)}`);
  }

  #receive(socket: UdpSocket, data: Buffer, from: Endpoint): void {
    const reply = this.#reply(data, from, socket.local);
    const out = reply && this.#sockets.find(({ local }) => sameEndpoint(local, reply.from));
    if (reply && out) void out.send(encodeStun(reply.message), from);
  }

  /** The answer to one message, counted; undefined for nothing. */
  #reply(data: Buffer, from: Endpoint, own: Endpoint): Reply | undefined {
    const request = decodeStun(data);
    const ours = this.#sockets.some(({ local }) => sameEndpoint(local, from));
    if (request?.kind !== 'request' || from.port === 0 || ours || classOf(from.address) === 'unusable') {
      this.#ignored++;
      return undefined;
    }
    // Loopback sources cannot be forged from outside, and tests make hundreds of sessions there.
    const trusted = classOf(from.address) === 'loopback';
    if (!trusted && !this.#limit.admit(sourceKey(from.address), this.#now())) {
      this.#limited++;
      return undefined;
    }
    const reply = answerBinding(request, from, own, this.layout);
    if (!reply) {
      this.#ignored++;
      return undefined;
    }
    this.#answered++;
    this.#log.trace(`${formatEndpoint(from)} asked ${formatEndpoint(own)}`);
    return reply;
  }
}

/** What a rate limit counts by: an IPv4 address, or an IPv6 /64, which one customer has in whole. */
function sourceKey(address: string): string {
  const bytes = addressToBytes(address);
  return bytes.length === 4
    ? address
    : bytesToAddress(Buffer.concat([bytes.subarray(0, 8), Buffer.alloc(8)]));
}

async function expandWildcard(addresses: readonly string[]): Promise<readonly string[]> {
  if (addresses.length !== 1) return addresses;
  if (addresses[0] === '0.0.0.0') return [await outboundAddress(4)];
  return addresses[0] === '::' ? [await outboundAddress(6)] : addresses;
}

function checkAddresses(given: readonly string[]): ServerLayout['addresses'] {
  const addresses = given.map((address) => {
    if (isIP(address) !== 0 && classOf(address) !== 'unusable')
      return bytesToAddress(addressToBytes(address));
    throw new AwlError('USAGE_BAD_VALUE', `the STUN server cannot listen on ${address}`, {
      hint: 'name one or two addresses of this machine: answers tell clients which',
    });
  });
  const [first, second] = addresses;
  const family = (address: string) => familyOf({ address, port: 0 });
  if (first !== undefined && addresses.length === 1) return [first];
  if (first !== undefined && second !== undefined && addresses.length === 2 && first !== second) {
    if (family(first) === family(second)) return [first, second];
  }
  throw new AwlError('USAGE_BAD_VALUE', `the STUN server cannot listen on ${given.join(', ') || 'nothing'}`, {
    hint: 'name one address, or two different ones of the same family',
  });
}

function withListenHint(error: unknown): unknown {
  if (!isAwlError(error, 'UDP_BIND')) return error;
  return new AwlError('UDP_BIND', error.message, {
    hint: 'is another STUN server running there? Choose other ports, or an address of this machine',
    cause: error,
  });
}
