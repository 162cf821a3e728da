import { diffieHellman, generateKeyPairSync, hkdfSync, type KeyObject, randomBytes } from 'node:crypto';
import { AwlError } from '../errors.js';
import { hasOffload } from '../util/offload.js';
import { deriveConfirmKey } from '../wire/confirm.js';
import { curvePublic, curveRaw } from '../wire/curve25519.js';
import type { Means } from '../wire/extension.js';

/** The capability that asks for the 32-byte confirmation (docs/PROTOCOL.md). */
const CAP_CONFIRM = 'confirm';
/** The sender knows the choice among several paths, and asks for the birthday rung where its plan has one. */
const CAP_CHOICE = 'choice';
const CAP_BIRTHDAY = 'birthday';
/** The sender reads, in the choice, where the other side sees it. */
const CAP_SEEN = 'seen';

/** The sender's kernel cuts and joins datagrams: a tunnel goes as volleys where both sides have it. */
const CAP_VOLLEYS = 'volleys';

/** What every awl says of itself. */
const LADDER_CAPS: readonly string[] = [CAP_CONFIRM, CAP_CHOICE, CAP_BIRTHDAY, CAP_SEEN];

/** One side's fresh random contribution to a session; never reused. */
export interface Contribution {
  readonly puzzle: bigint;
  readonly dh: { readonly publicKey: Buffer; readonly privateKey: KeyObject };
  /** What this side can do. */
  readonly caps: readonly string[];
}

/** A random u64 puzzle (spec c.1) and an X25519 key pair for the confirmation; `udx` for a tunnel without volleys. */
export function newContribution({ udx = false }: { readonly udx?: boolean } = {}): Contribution {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const dh = { publicKey: curveRaw('x25519', publicKey), privateKey };
  const caps = [...LADDER_CAPS, ...(!udx && hasOffload() ? [CAP_VOLLEYS] : [])];
  return { puzzle: randomBytes(8).readBigUInt64LE(), dh, caps };
}

/** What a verified message says about the sender's place on the ladder; nothing for a peer that is no awl. */
export function placeOnLadder(means: Pick<Means, 'fresh' | 'caps'> | undefined) {
  return {
    peerFresh: means?.fresh ?? [],
    chooses: means?.caps.includes(CAP_CHOICE) ?? false,
    birthday: means?.caps.includes(CAP_BIRTHDAY) ?? false,
    tellsSeen: means?.caps.includes(CAP_SEEN) ?? false,
  };
}

export interface SharedKeys {
  /** puzzle XOR puzzle, spec f. */
  readonly secret: bigint;
  /** Present iff both sides announced the confirmation. */
  readonly confirmKey?: Buffer;
  /** What a payload may key itself with: 32 bytes, independent of the confirmation's own keys. */
  readonly sessionKey?: Buffer;
  /** A tunnel goes as volleys. */
  readonly volleys?: boolean;
}

/**
 * What both sides can compute from their two verified messages, whose digests are given.
 * @throws AwlError MESSAGE_MISDIRECTED if the peer's puzzle or key is our own (a reflected message),
 *   MESSAGE_MALFORMED if its key cannot be used
 */
export function agree(
  own: Contribution,
  theirs: { readonly puzzle: bigint } & Partial<Pick<Means, 'dh' | 'caps'>>,
  digests: { readonly invite: string; readonly accept: string },
): SharedKeys {
  const secret = own.puzzle ^ theirs.puzzle;
  if (secret === 0n || theirs.dh?.equals(own.dh.publicKey)) {
    throw new AwlError('MESSAGE_MISDIRECTED', 'our own message came back as the answer of the peer', {
      hint: 'the rendezvous reflects messages; nothing was opened',
    });
  }
  if (!theirs.dh || !theirs.caps?.includes(CAP_CONFIRM)) return { secret };
  const confirmKey = deriveConfirmKey({
    sharedSecret: exchange(own.dh.privateKey, curvePublic('x25519', theirs.dh)),
    secret,
    inviteDigest: digests.invite,
    acceptDigest: digests.accept,
  });
  const sessionKey = Buffer.from(hkdfSync('sha256', confirmKey, Buffer.alloc(0), 'awl payload v1', 32));
  const volleys = own.caps.includes(CAP_VOLLEYS) && theirs.caps.includes(CAP_VOLLEYS);
  return { secret, confirmKey, sessionKey, volleys };
}

function exchange(privateKey: KeyObject, publicKey: KeyObject): Buffer {
  try {
    return diffieHellman({ privateKey, publicKey });
  } catch (cause) {
    // Points of small order make OpenSSL refuse; RFC 7748 section 6.1 asks for exactly that.
    throw new AwlError('MESSAGE_MALFORMED', 'the key in the peer’s message cannot be used', { cause });
  }
}
