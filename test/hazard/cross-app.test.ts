import { expect, test } from 'vitest';
import { craftSealed } from '../support/crafted-signature.js';
import { invitation, REFERENCE, REFERENCE_TEXT, receive, refusal } from '../support/exchange.js';
import { capturedParty } from '../support/parties.js';

const alice = capturedParty('alice');
const bob = capturedParty('bob');

test('an invitation for one app does not open another', () => {
  const sealed = invitation(alice, bob, { app: 'chat', extension: {} });
  expect(receive(sealed, bob, alice, { app: 'chat' }).reference).toEqual(REFERENCE);
  for (const app of ['ssh', 'chat2', 'Chat', 'chat ', '']) {
    refusal(() => receive(sealed, bob, alice, { app }), 'MESSAGE_MISDIRECTED');
  }
});

test('an invitation does not pass as an answer, nor an answer as an invitation', () => {
  const invite = invitation(alice, bob, { extension: {} });
  refusal(() => receive(invite, bob, alice, { kind: 'accept' }), 'MESSAGE_MISDIRECTED');
  const answer = invitation(alice, bob, { kind: 'accept', extension: {} });
  refusal(() => receive(answer, bob, alice), 'MESSAGE_MISDIRECTED');
  expect(receive(answer, bob, alice, { kind: 'accept' }).extension?.kind).toBe('accept');
});

test('plexus binds no app: its messages open wherever their peer is expected (docs/PROTOCOL.md says so)', () => {
  const sealed = craftSealed(bob, { text: REFERENCE_TEXT, signers: [{ by: alice }] });
  expect(receive(sealed, bob, alice, { app: 'anything' }).reference).toEqual(REFERENCE);
});
