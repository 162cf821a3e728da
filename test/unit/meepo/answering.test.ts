import { expect, onTestFinished, test } from 'vitest';
import { OFFERS_PER_PEER } from '../../../src/meepo/limits.js';
import { NO_WORD } from '../../../src/meepo/passage-word.js';
import { BARE_SDP, withAwlAttribute } from '../../../src/meepo/sdp.js';
import { openAnswer, sealOffer } from '../../../src/wire/meepo/descriptor.js';
import { meepoKeys } from '../../../src/wire/meepo/keys.js';
import { loopbackNode } from '../../support/meepo-nodes.js';

/** Nothing to connect to: it is answered at once, and leaves nothing behind. */
const SDP = withAwlAttribute(BARE_SDP, NO_WORD);

function answering() {
  const node = loopbackNode(undefined, { passages: false });
  onTestFinished(() => node.close());
  return { id: node.id, answer: node.transports.answer.bind(node.transports) };
}

test('an offer is answered once, and one of many of a peer waits for the next minute', async () => {
  const { id, answer } = answering();
  const [alice, bob] = [meepoKeys(), meepoKeys()];
  const first = sealOffer(alice, id, SDP);
  expect(openAnswer(id, first.secret, await answer(first.descriptor))).toContain('v=0');
  await expect(answer(first.descriptor)).rejects.toMatchObject({ code: 'MESSAGE_REPLAYED' });
  for (let i = 1; i < OFFERS_PER_PEER; i++) await answer(sealOffer(alice, id, SDP).descriptor);
  await expect(answer(sealOffer(alice, id, SDP).descriptor)).rejects.toMatchObject({ code: 'LIMIT_REACHED' });
  await answer(sealOffer(bob, id, SDP).descriptor);
});

test('an offer for somebody else, or that offers nothing, is a named error', async () => {
  const { id, answer } = answering();
  const alice = meepoKeys();
  const other = sealOffer(alice, meepoKeys().id, SDP).descriptor;
  await expect(answer(other)).rejects.toMatchObject({ code: 'MESSAGE_MALFORMED' });
  const nothing = sealOffer(alice, id, BARE_SDP).descriptor;
  await expect(answer(nothing)).rejects.toMatchObject({ code: 'MESSAGE_MALFORMED' });
});
