import { STUN_SILENCE_RETRANSMITS_MS } from '../constants.js';
import type { Endpoint } from '../util/endpoint.js';
import { sleep } from '../util/sleep.js';
import { UdpSocket } from '../util/udp.js';
import { encodeStun } from '../wire/stun.js';
import type { BehaviourOptions } from './behaviour.js';
import { newStunId, transact } from './client.js';

/**
 * Tried side by side. A datagram of TTL 1 leaves nothing but this machine; from 7 on, plexus' default is as good. So a
 * NAT whose outside is further away than six hops is not measured, and few are further than two.
 */
const TRIED: readonly number[] = [2, 3, 4, 5, 6];
/** The opener is sent this often, and this long before its hole is tried. */
const OPENERS = 2;
const HEAD_START_MS = 20;

/**
 * The smallest IP TTL that was seen to leave the own NATs: a datagram of that TTL goes to the server's other address and dies on the
 * way; if the NATs' filter now lets in what comes from there, it has passed them all. Each TTL has a socket of its own.
 * Undefined where nothing is learnt: no such TTL, a server that ignores CHANGE-REQUEST, a NAT with another mapping for the
 * other address. Says nothing where the NAT filters nothing: the caller must know that it does (`changeBoth` silent).
 * @throws the signal's reason when aborted; AwlError UDP_BIND
 */
export async function measureHops(
  server: Endpoint,
  alternate: Endpoint,
  options: BehaviourOptions,
): Promise<number | undefined> {
  const left = await Promise.all(TRIED.map((ttl) => leaves(ttl, server, alternate, options)));
  return TRIED.find((_, index) => left[index]);
}

async function leaves(
  ttl: number,
  server: Endpoint,
  alternate: Endpoint,
  { bindAddress, schedule = STUN_SILENCE_RETRANSMITS_MS, signal }: BehaviourOptions,
): Promise<boolean> {
  const socket = await UdpSocket.bind({ address: bindAddress, port: 0 });
  try {
    // A request like any other: where it arrives after all, it is answered and nobody minds.
    const opener = encodeStun({ kind: 'request', id: newStunId() });
    for (let count = 0; count < OPENERS; count++) await socket.send(opener, alternate, ttl);
    await sleep(HEAD_START_MS, signal);
    const changeIp = alternate.address !== server.address;
    const outcome = await transact(socket, server, {
      changeIp,
      changePort: true,
      alternate,
      schedule,
      signal,
    });
    return outcome.kind === 'answer';
  } finally {
    await socket.close();
  }
}
