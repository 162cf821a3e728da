import { expect, test } from 'vitest';
import { DHT_FRAGMENT_BYTES } from '../../../../src/rendezvous/hyperdht/limits.js';
import { wrapParcel } from '../../../../src/rendezvous/hyperdht/parcel.js';
import { candidateList } from '../../../../src/session/candidate-list.js';
import type { Candidate } from '../../../../src/wire/extension.js';
import type { NatReport } from '../../../../src/wire/nat-report.js';
import { invitation, REFERENCE } from '../../../support/exchange.js';
import { capturedParty } from '../../../support/parties.js';

const [alice, bob] = [capturedParty('alice'), capturedParty('bob')];
const NAT: NatReport = {
  nat: 'yes',
  mapping: 'address-and-port-dependent',
  filtering: 'address-and-port-dependent',
  hairpin: 'no',
  portPreservation: 'no',
  portStep: -64,
};
const V6 = '2001:db8:1234:5678:9abc:def0:1234:';
const v4 = (i: number) => ({ address: `203.100.100.20${i}`, port: 60_000 + i });
const v6 = (i: number) => ({ address: `${V6}567${i}`, port: 60_000 });

/** Octets of the box that carries an invitation with these candidates between RSA-2048 identities. */
function boxBytes(cand: readonly Candidate[]): number {
  const extension = { dh: Buffer.alloc(32, 7), cand, nat: NAT, caps: ['confirm'] };
  const { form, bytes } = invitation(alice, bob, { extension });
  return wrapParcel(Buffer.alloc(32), 'invite', { form, bytes, names: { from: alice.name, to: bob.name } })
    .length;
}

test('a full list of candidates costs no further datagram on the way through the DHT', () => {
  const full = candidateList(REFERENCE.endpoint, {
    host: [1, 2, 3].map(v4).concat([1, 2].map(v6)),
    mapped: [v4(4), v6(4)],
    srflx: [5, 6, 7, 8].map(v4),
  });
  expect(full).toHaveLength(10);
  const fragments = (cand: readonly Candidate[]) => Math.ceil(boxBytes(cand) / DHT_FRAGMENT_BYTES);
  // 2124 octets with one candidate, 2748 with ten long ones.
  expect([fragments(full.slice(0, 1)), fragments(full)]).toEqual([3, 3]);
});
