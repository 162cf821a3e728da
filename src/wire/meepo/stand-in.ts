import { type Descriptor, signDescriptorBy, verifyDescriptor } from './descriptor.js';
import { malformedMeepo, readBase64 } from './fields.js';
import { type MeepoKeys, meepoKeys } from './keys.js';

/**
 * A key that offers are sealed to in the place of one in an ssh-agent, which signs and opens nothing. Its owner answers an
 * offer that it cannot open with `UserData: {awlKey, awlUntil, sig}`: the key (Ed25519, as those of nodes) and the last second in
 * which it may be used; the caller seals its offer to that key and names it as `awlTo`. Real nodes find no answer in it.
 */
export interface StandIn {
  readonly keys: MeepoKeys;
  /** What tells callers of it. */
  readonly descriptor: Descriptor;
  /** Milliseconds since 1970. */
  readonly until: number;
}

const LIFE_MS = 24 * 60 * 60 * 1000;

const seconds = (ms: number) => Buffer.from(String(Math.floor(ms / 1000)));

/** @throws AwlError as the agent */
export async function makeStandIn(owner: MeepoKeys, now: number): Promise<StandIn> {
  const keys = meepoKeys();
  const until = now + LIFE_MS;
  const data = { awlKey: keys.publicKey, awlUntil: seconds(until) };
  return { keys, until, descriptor: await signDescriptorBy(owner, data) };
}

/** True while a stand-in is young enough to be told to callers. */
export function isFresh({ until }: StandIn, now: number): boolean {
  return until - now > LIFE_MS / 2;
}

/** True if an offer says that it is sealed to this key. */
export function isFor({ UserData }: Descriptor, { keys }: StandIn): boolean {
  return UserData['awlTo'] === keys.publicKey.toString('base64');
}

/**
 * The key that `peer` names in the place of an answer; undefined if this may be an answer.
 * @throws AwlError MESSAGE_MALFORMED if it is not the peer's, or too old
 */
export function readStandIn(peer: string, answer: Descriptor, now: number): Buffer | undefined {
  const { awlKey, awlUntil } = answer.UserData;
  if (awlKey === undefined || answer.UserData['ct'] !== undefined) return undefined;
  if (answer.ID !== peer) throw malformedMeepo('somebody else answers');
  verifyDescriptor(answer);
  const key = readBase64(awlKey, 'awlKey');
  const until = Number(readBase64(awlUntil, 'awlUntil').toString()) * 1000;
  if (key.length !== 32) throw malformedMeepo('awlKey is no key');
  // A clock may be wrong by a few minutes.
  if (!(until > now - LIFE_MS / 100)) throw malformedMeepo('awlKey is too old');
  return key;
}
