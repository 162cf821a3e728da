import { type Boxes, hostileNat } from './scene.js';

const APD = 'address-and-port-dependent';
const HOME = { mapping: 'endpoint-independent', filtering: APD, ports: 'preserve' } as const;

/** The kinds of the kernel grid (docs/NETLAB.md). */
export const KINDS = {
  none: [],
  'full-cone': [{ ...HOME, filtering: 'endpoint-independent' }],
  restricted: [{ ...HOME, filtering: 'address-dependent' }],
  'port-restricted': [HOME],
  symmetric: [{ mapping: APD, filtering: APD, ports: 'random' }],
  'symmetric-sequential': [{ mapping: APD, filtering: APD, ports: 'sequential' }],
  cgnat: [HOME, HOME],
  hostile: [hostileNat()],
} as const satisfies Record<string, Boxes>;

export type Kind = keyof typeof KINDS;

const NAMES = Object.keys(KINDS) as Kind[];
const moves = (kind: Kind) => kind.startsWith('symmetric');

/** All ordered pairs (inviter, acceptor) but random symmetric with another symmetric one. */
export const PAIRS: readonly (readonly [Kind, Kind])[] = NAMES.flatMap((a) =>
  NAMES.filter((b) => !(moves(a) && moves(b) && [a, b].includes('symmetric'))).map((b) => [a, b] as const),
);

/** Found by chance: a random symmetric NAT, and a peer that takes datagrams of known places only. */
export function isBirthday(a: Kind, b: Kind): boolean {
  const strict: readonly Kind[] = ['port-restricted', 'cgnat', 'hostile'];
  return (a === 'symmetric' && strict.includes(b)) || (b === 'symmetric' && strict.includes(a));
}

/** Neither side's NAT moves. */
export function isEasy(a: Kind, b: Kind): boolean {
  return !moves(a) && !moves(b);
}
