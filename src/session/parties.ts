import { AwlError, isAwlError } from '../errors.js';
import { formatName, type IdentityName } from '../identity/names.js';
import type { AppRepository, HostIdentity, PeerIdentity } from '../identity/repository.js';
import type { Logger } from '../log.js';
import type { SessionContext } from './context.js';

/** Ourselves in one session; without certificate and key only where plaintext was typed. */
export type HostParty = Pick<HostIdentity, 'name'> & Partial<HostIdentity>;
/** The peer in one session; without certificate only where plaintext was typed. */
export type PeerParty = Pick<PeerIdentity, 'name'> & Partial<PeerIdentity>;

export interface PartyOptions {
  readonly allowPlaintext?: boolean;
  /** The command line named this very identity: no folder of it is needed where plaintext was typed. */
  readonly named?: boolean;
  readonly log: Logger;
}

/** @param named the command line names this very identity */
export function partyOptions(
  { settings, log }: Pick<SessionContext, 'settings' | 'log'>,
  named: boolean,
): PartyOptions {
  return { ...(settings.allowPlaintext && { allowPlaintext: true }), named, log };
}

/** @throws AwlError IDENTITY_* */
export function loadHost(
  repository: AppRepository,
  name: IdentityName,
  options: PartyOptions,
): Promise<HostParty> {
  return load(repository, name, options, () => repository.host(name));
}

/** @throws AwlError IDENTITY_* */
export function loadPeer(
  repository: AppRepository,
  name: IdentityName,
  options: PartyOptions,
): Promise<PeerParty> {
  return load(repository, name, options, () => repository.peer(name));
}

/** plexus' rule (spec b): where material is missing, messages go in clear; here only if the user typed that. */
async function load<T extends { readonly name: IdentityName }>(
  repository: AppRepository,
  name: IdentityName,
  { allowPlaintext, named, log }: PartyOptions,
  read: () => Promise<T>,
): Promise<T | { readonly name: IdentityName }> {
  try {
    return await read();
  } catch (error) {
    if (!allowPlaintext || !isAwlError(error, 'IDENTITY_MISSING')) throw error;
    if (!named && !(await repository.has(name))) {
      throw new AwlError('IDENTITY_MISSING', `${formatName(name)} is not in the app repository`, {
        cause: error,
      });
    }
    log.warning(
      `no usable certificate of ${formatName(name)}: messages go in clear, as --allow-plaintext says`,
    );
    return { name };
  }
}

/** What tells this peer from others when sessions are counted. */
export function partyKey(peer: PeerParty): string {
  return peer.cert?.fingerprint ?? formatName(peer.name);
}
