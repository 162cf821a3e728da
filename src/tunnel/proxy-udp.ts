import type { Socket } from 'node:net';
import type { Logger } from '../log.js';
import { normaliseHost } from '../wire/acl-address.js';
import { encodeSocksDatagram, readSocksDatagram, type Socks5Address } from '../wire/socks5.js';
import { formatTarget, parseTarget } from '../wire/tunnel-target.js';
import { bindDatagrams } from './flow-importer.js';
import { Flows } from './flows.js';
import type { Tunnel } from './tunnel.js';

/** Destinations of one association at once. */
const DESTINATIONS_MAX = 128;

/**
 * UDP ASSOCIATE (RFC 1928 section 7): a UDP socket beside `control`, for the program at its other end, until that
 * hangs up or the tunnel is over. Fragments are dropped, as the RFC allows.
 * @returns where the program sends its datagrams
 * @throws AwlError TUNNEL_BIND
 */
export async function associate(tunnel: Tunnel, control: Socket, log: Logger): Promise<Socks5Address> {
  const address = control.localAddress ?? '127.0.0.1';
  const peer = normaliseHost(control.remoteAddress ?? '');
  const socket = await bindDatagrams({ address, port: 0 });
  const flows = new Flows(tunnel, log, DESTINATIONS_MAX);
  // The first to send from the program's address; a second one there is somebody else.
  let client: number | undefined;
  socket.on('message', (data, from) => {
    const datagram = readSocksDatagram(data);
    if (!datagram || normaliseHost(from.address) !== peer || from.port !== (client ?? from.port)) return;
    client = from.port;
    const { to, payload } = datagram;
    const target = targetOf(to);
    if (target === undefined) return;
    flows.send(target, Buffer.from(payload), () => ({
      target,
      deliver: (answer) => socket.send(encodeSocksDatagram(to, answer), from.port, from.address, () => {}),
    }));
  });
  const end = () => {
    flows.close();
    socket.close();
  };
  if (control.destroyed) end();
  else control.once('close', end);
  control.once('end', () => control.destroy());
  const over = () => control.destroy();
  tunnel.closed.then(over, over);
  control.resume();
  return { host: address, port: socket.address().port };
}

function targetOf({ host, port }: Socks5Address): string | undefined {
  try {
    return formatTarget(parseTarget(`udp:${host.includes(':') ? `[${host}]` : host}:${port}`));
  } catch {
    return undefined;
  }
}
