import { STUN_SILENCE_RETRANSMITS_MS } from '../constants.js';
import type { Endpoint } from '../util/endpoint.js';
import { UdpSocket } from '../util/udp.js';
import { decodeStun, encodeStun, repeatsId } from '../wire/stun.js';
import type { FilteringEvidence, Heard } from './classify.js';
import { newStunId, type Outcome, transact } from './client.js';

/** Time between two hairpin datagrams, and after the last one. */
const HAIRPIN_EVERY_MS = 100;
const HAIRPIN_ROUNDS = 4;

export interface BehaviourOptions {
  /** Address to bind the tests' own sockets to. */
  readonly bindAddress: string;
  /** Default: STUN_SILENCE_RETRANSMITS_MS. */
  readonly schedule?: readonly number[];
  readonly signal: AbortSignal;
}

const NOTHING_HEARD: FilteringEvidence = {
  changeBoth: 'not-measured',
  changePort: 'not-measured',
  control: 'not-measured',
};

function heard(outcome: Outcome): Heard {
  if (outcome.kind === 'refused') return 'not-measured';
  return outcome.kind === 'answer' ? 'answered' : 'silent';
}

/** Runs `use` with fresh ephemeral sockets, and closes them whatever happens. */
async function withSockets<T>(
  count: number,
  address: string,
  use: (sockets: readonly UdpSocket[]) => Promise<T>,
): Promise<T> {
  const sockets: UdpSocket[] = [];
  try {
    for (let i = 0; i < count; i++) sockets.push(await UdpSocket.bind({ address, port: 0 }));
    return await use(sockets);
  } finally {
    await Promise.all(sockets.map((socket) => socket.close()));
  }
}

/**
 * Filtering tests of RFC 5780 section 4.4, all at once, on sockets of their own (as plexus does: the punching
 * socket must get no extra holes). Takes as long as the schedule where the NAT filters. A server whose other
 * address differs in the port only can show address-and-port-dependent filtering and nothing else.
 * @throws the signal's reason when aborted; AwlError UDP_BIND if there are no sockets
 */
export function testFiltering(
  server: Endpoint,
  alternate: Endpoint,
  { bindAddress, schedule, signal }: BehaviourOptions,
): Promise<FilteringEvidence> {
  return withSockets(2, bindAddress, async ([tested, opened]) => {
    if (!tested || !opened) return NOTHING_HEARD;
    const changeIp = alternate.address !== server.address;
    const options = { alternate, signal, schedule: schedule ?? STUN_SILENCE_RETRANSMITS_MS };
    const both = { ...options, changeIp, changePort: true };
    // Sent first, so that the way for the control's reply is open when its request arrives.
    const opening = transact(opened, alternate, options);
    const [changeBoth, changePort, control] = await Promise.all([
      changeIp ? transact(tested, server, both).then(heard) : NOTHING_HEARD.changeBoth,
      transact(tested, server, { ...options, changePort: true }).then(heard),
      transact(opened, server, both).then(heard),
      opening,
    ]);
    return { changeBoth, changePort, control };
  });
}

/**
 * Do two of our sockets reach each other through the outside address (RFC 4787 section 6)? Both send, so that
 * filtering does not hide it. Nothing is sent unless the server places both behind `publicAddress`.
 * @throws the signal's reason when aborted; AwlError UDP_BIND if there are no sockets
 */
export function testHairpin(
  server: Endpoint,
  publicAddress: string,
  { bindAddress, signal }: BehaviourOptions,
): Promise<Heard> {
  return withSockets(2, bindAddress, async ([one, two]) => {
    if (!one || !two) return 'not-measured';
    const schedule = STUN_SILENCE_RETRANSMITS_MS;
    const [a, b] = await Promise.all(
      [one, two].map((socket) => transact(socket, server, { schedule, signal })),
    );
    if (a?.kind !== 'answer' || b?.kind !== 'answer') return 'not-measured';
    const [toOne, toTwo] = [a.answer.mapped, b.answer.mapped];
    if (toOne.address !== publicAddress || toTwo.address !== publicAddress) return 'not-measured';
    return exchange(
      [
        { socket: one, target: toTwo },
        { socket: two, target: toOne },
      ],
      signal,
    );
  });
}

interface Ball {
  readonly socket: UdpSocket;
  readonly target: Endpoint;
}

/** Each side sends a Binding request to the other's outside endpoint a few times; hearing one settles it. */
function exchange(sides: readonly Ball[], signal: AbortSignal): Promise<Heard> {
  signal.throwIfAborted();
  const id = newStunId();
  const ball = encodeStun({ kind: 'request', id });
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const unsubscribe = sides.map(({ socket }) =>
      socket.subscribe((data) => {
        if (repeatsId(data, id) && decodeStun(data)?.kind === 'request') finish(() => resolve('answered'));
      }),
    );
    const onAbort = () => finish(() => reject(signal.reason));
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      for (const stop of unsubscribe) stop();
      signal.removeEventListener('abort', onAbort);
      settle();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    const round = (left: number) => {
      if (left === 0) return finish(() => resolve('silent'));
      for (const { socket, target } of sides) void socket.send(ball, target);
      timer = setTimeout(round, HAIRPIN_EVERY_MS, left - 1);
    };
    round(HAIRPIN_ROUNDS);
  });
}
