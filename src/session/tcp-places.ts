import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import type { Logger } from '../log.js';
import { classOf } from '../stun/sanity.js';
import { type Endpoint, familyOf } from '../util/endpoint.js';
import type { TunnelOffer } from '../wire/tunnel-offer.js';
import type { Passage } from './passage.js';
import type { SessionSettings } from './settings.js';
import { askTcp } from './tcp-mapping.js';

/** A STUN server that has no TCP is silent; the tunnel runs meanwhile, but a faster path should not wait long. */
const STUN_WAIT_MS = 700;
/** Where Linux and others take ephemeral ports from (RFC 6335's dynamic range begins higher). */
const PORTS = { from: 32_768, to: 60_999 } as const;
/** Connections to the open port that may wait for their handshake. */
const BACKLOG = 8;

/** Where we can be met over TCP, held open until `close`. */
export interface TcpPlaces {
  readonly offer: TunnelOffer;
  /** Our connects leave from here. */
  readonly local: Endpoint;
  close(): Promise<void>;
}

/** What a tunnel that tries TCP asks of the settings. */
export type TcpUpgradeSettings = Pick<
  SessionSettings,
  'stun' | 'bind' | 'tcp' | 'allowPrivate' | 'allowLoopback'
>;

export interface PlacesOptions {
  readonly passage: Passage;
  readonly settings: TcpUpgradeSettings;
  /** Acceptors listen, too: where no NAT is between both, that is quicker than meeting halfway. */
  readonly onConnection?: (socket: Socket) => void;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Finds our TCP endpoints: what STUN sees, else what a NAT that keeps ports would show, and our own address where the peer can be in the same network. */
export async function findTcpPlaces(o: PlacesOptions): Promise<TcpPlaces> {
  const { passage, settings, log, signal } = o;
  const { alien } = passage;
  const bind = settings.tcp?.bind ?? { address: anyOf(passage, settings), port: 0 };
  const asking = askTcp(
    { stun: settings.tcp?.stun ?? settings.stun, bind },
    { log, signal: AbortSignal.any([signal, AbortSignal.timeout(STUN_WAIT_MS)]) },
  ).catch(() => undefined);
  const [asked, own] = await Promise.all([asking, addressToward(alien, bind.address)]);
  const local = {
    address: bind.address,
    port: asked?.local.port ?? (bind.port || randomInt(PORTS.from, PORTS.to)),
  };
  const seen = asked?.mapped ?? { address: passage.outer.address, port: local.port };
  const near = classOf(own) === classOf(alien.address) ? [own] : [];
  const server = near.length > 0 && o.onConnection ? await listen(bind.address, o.onConnection) : undefined;
  const openPort = server && portOf(server);
  const at = [seen, ...near.map((address) => ({ address, port: local.port }))];
  return {
    offer: {
      at: at.filter(({ address }, i) => at.findIndex((one) => one.address === address) === i),
      open: openPort ? near.map((address) => ({ address, port: openPort })) : [],
    },
    local,
    close: async () => {
      if (server) await new Promise<void>((resolve) => server.close(() => resolve()));
      await asked?.release();
    },
  };
}

/** The bind of the session, in the family of the passage. */
function anyOf({ inner, alien }: Passage, { bind }: TcpUpgradeSettings): string {
  const wanted = familyOf(alien);
  for (const { address } of [inner, bind]) if (familyOf({ address, port: 0 }) === wanted) return address;
  return wanted === 6 ? '::' : '0.0.0.0';
}

/** The own address that datagrams to `peer` leave from: asks the routing table and sends nothing. */
function addressToward(peer: Endpoint, bound: string): Promise<string> {
  if (bound !== '0.0.0.0' && bound !== '::') return Promise.resolve(bound);
  return new Promise((resolve) => {
    const socket = createSocket(familyOf(peer) === 6 ? 'udp6' : 'udp4');
    const done = (address: string) => {
      socket.removeAllListeners();
      socket.close();
      resolve(address);
    };
    socket.once('error', () => done(bound));
    socket.connect(peer.port, peer.address, () => done(socket.address().address));
  });
}

/** Undefined where no port can be had: meeting halfway remains. */
async function listen(address: string, onConnection: (socket: Socket) => void): Promise<Server | undefined> {
  const server = createServer({ noDelay: true }, onConnection);
  server.maxConnections = BACKLOG;
  return new Promise((resolve) => {
    server.once('error', () => resolve(undefined));
    server.listen({ host: address, port: 0, backlog: BACKLOG, exclusive: true }, () => resolve(server));
  });
}

function portOf(server: Server): number | undefined {
  const address = server.address();
  return typeof address === 'object' ? address?.port : undefined;
}
