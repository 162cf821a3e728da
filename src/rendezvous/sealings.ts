import { type Opened, type OpenOptions, open, type Sealed, type SealOptions, seal } from './sealing.js';
import { openValue, sealValue } from './sealing-opendht.js';
import type { Envelope, SealingName } from './types.js';

/** How a backend's letters are sealed and opened; everything that protects is in here, nothing in the backend. */
export interface Sealing {
  /** @throws AwlError IDENTITY_* */
  seal(options: SealOptions): Sealed;
  /** @throws AwlError MESSAGE_*, IDENTITY_* */
  open(envelope: Pick<Envelope, 'form' | 'bytes'>, options: OpenOptions): Opened;
}

const SEALINGS: Readonly<Record<SealingName, Sealing>> = {
  smime: { seal, open },
  opendht: { seal: sealValue, open: openValue },
};

/** The sealing that a backend names. */
export function sealingOf(name: SealingName): Sealing {
  return SEALINGS[name];
}
