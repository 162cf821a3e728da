import { expect } from 'vitest';
import { AwlError, type ErrorCode } from '../../src/errors.js';
import type { HostIdentity } from '../../src/identity/repository.js';
import {
  type Opened,
  type OpenOptions,
  open,
  type Sealed,
  type SealOptions,
  seal,
} from '../../src/rendezvous/sealing.js';
import type { Envelope } from '../../src/rendezvous/types.js';
import { CAPTURED_AT } from './parties.js';

/** Tests have their own clock: the captured certificates are valid from 2026 to 2036. */
export const NOW = CAPTURED_AT;

export const REFERENCE = {
  endpoint: { address: '203.0.113.7', port: 40_001 },
  puzzle: 0xfedc_ba98_7654_3210n,
};
export const REFERENCE_TEXT = 'PLEXUS 3.0 203.0.113.7 40001 18364758544493064720';

/** `ms` after {@link NOW}. */
export function after(ms: number): Date {
  return new Date(NOW.getTime() + ms);
}

/** An invitation from `host` to `peer` for app "app". */
export function invitation(host: HostIdentity, peer: HostIdentity, more: Partial<SealOptions> = {}): Sealed {
  return seal({ app: 'app', kind: 'invite', host, peer, reference: REFERENCE, now: NOW, ...more });
}

/** Opens at `host` what is said to be from `peer`. */
export function receive(
  envelope: Pick<Envelope, 'form' | 'bytes'>,
  host: HostIdentity,
  peer: HostIdentity,
  more: Partial<OpenOptions> = {},
): Opened {
  return open(envelope, { app: 'app', kind: 'invite', host, peer, now: NOW, ...more });
}

/** Expects that `action` ends in an AwlError with one of the codes; yields it. */
export function refusal(action: () => unknown, ...codes: ErrorCode[]): AwlError {
  let outcome: unknown;
  try {
    outcome = action();
  } catch (error) {
    expect(error).toBeInstanceOf(AwlError);
    if (codes.length > 0) expect(codes).toContain((error as AwlError).code);
    return error as AwlError;
  }
  return expect.unreachable(
    `was taken: ${JSON.stringify(outcome, (_key, v) => (typeof v === 'bigint' ? `${v}` : v))}`,
  );
}
