import { accept as acceptPassages } from './acceptor.js';
import { invite as invitePeer } from './initiator.js';
import type { AcceptorSettings, SessionSettings } from './settings.js';
import { type StreamPassage, withStreams } from './streams.js';

/**
 * Invites the peer and punches a passage to it. The caller owns the passage and closes it.
 * @throws AwlError with the diagnosis: IDENTITY_*, STUN_UNREACHABLE, RENDEZVOUS_*, PEER_NO_ANSWER,
 *   HANDSHAKE_TIMEOUT, NAT_IMPOSSIBLE
 */
export async function invite(settings: SessionSettings): Promise<StreamPassage> {
  return withStreams(await invitePeer(settings), settings);
}

/**
 * Answers invitations until the signal aborts or the accept time is over; yields each passage as it is won.
 * The reader owns each passage and closes it.
 * @throws AwlError IDENTITY_*, RENDEZVOUS_REFUSED, RENDEZVOUS_UNTRUSTED; an unreachable rendezvous is retried
 */
export async function* accept(settings: AcceptorSettings): AsyncGenerator<StreamPassage, void> {
  for await (const passage of acceptPassages(settings)) yield withStreams(passage, settings);
}
