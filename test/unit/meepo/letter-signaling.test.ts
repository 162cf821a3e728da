import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { silentLogger } from '../../../src/log.js';
import { LetterSignaling } from '../../../src/meepo/letter-signaling.js';
import type { AnswerOffer } from '../../../src/meepo/signaling.js';
import { openHyperdht } from '../../../src/rendezvous/hyperdht/backend.js';
import { openRendezvous } from '../../../src/rendezvous/registry.js';
import type { Rendezvous } from '../../../src/rendezvous/types.js';
import { openAnswer, openOffer, sealAnswer, sealOffer } from '../../../src/wire/meepo/descriptor.js';
import { meepoKeys } from '../../../src/wire/meepo/keys.js';
import { Testnet } from '../../support/testnet.js';

const context = { log: silentLogger, now: () => new Date() };
const SDP = `v=0\r\n${'a=candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host\r\n'.repeat(6)}`;

async function exchange(open: () => Promise<Rendezvous>): Promise<void> {
  const [alice, bob] = [meepoKeys(), meepoKeys()];
  const answer: AnswerOffer = async (offer) => sealAnswer(bob, openOffer(bob, offer).secret, `${SDP}answer`);
  const refuse: AnswerOffer = () => Promise.reject(new Error('secret words'));
  const ends = [
    new LetterSignaling({ id: alice.id, link: await open(), answer: refuse, log: silentLogger }),
    new LetterSignaling({ id: bob.id, link: await open(), answer, log: silentLogger }),
  ] as const;
  const signal = AbortSignal.timeout(15_000);
  try {
    const { descriptor, secret } = sealOffer(alice, bob.id, SDP);
    const got = await ends[0].wire(bob.id, descriptor, signal);
    expect(openAnswer(bob.id, secret, got)).toBe(`${SDP}answer`);
    // The other way round it is refused, without what is nobody's business.
    const back = sealOffer(bob, alice.id, SDP);
    await expect(ends[1].wire(alice.id, back.descriptor, signal)).rejects.toThrow('internal error');
  } finally {
    await Promise.all(ends.map((end) => end.close()));
  }
}

test('offers and answers travel as letters', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'awl-meepo-'));
  try {
    await exchange(() => openRendezvous({ name: 'file', folder }, context));
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('over a DHT a MeepoID is enough to be found', async () => {
  const net = await Testnet.start();
  try {
    await exchange(() => openHyperdht(net.settings, context));
  } finally {
    await net.down();
  }
});
