import { isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { errorText } from '../../errors.js';
import type { Logger } from '../../log.js';
import { deadline } from '../../util/sleep.js';
import { outboundAddress } from '../own-address.js';
import { classOf } from '../sanity.js';
import { findGateway } from './gateway.js';
import { DISCOVERY_MS } from './limits.js';
import type { Gateway, PortMapper } from './mapper.js';
import { findNatPmp } from './nat-pmp.js';
import { findPcp } from './pcp.js';
import { findUpnp } from './upnp.js';

/** A search for routers under way; nothing is changed at them by it. Neither promise rejects. */
export interface RouterSearch {
  /** The first that answers. */
  readonly first: Promise<PortMapper | undefined>;
  /** All, in the order of their answers; one router counts once a protocol. */
  readonly all: Promise<readonly PortMapper[]>;
}

const PROTOCOLS = { PCP: findPcp, 'NAT-PMP': findNatPmp, UPnP: findUpnp } as const;

/** Asks the default gateway by all three protocols side by side, for DISCOVERY_MS at most. */
export function searchRouters(log: Logger, signal: AbortSignal, where = locate()): RouterSearch {
  const found: PortMapper[] = [];
  let resolveFirst: (mapper: PortMapper | undefined) => void = () => {};
  const first = new Promise<PortMapper | undefined>((resolve) => {
    resolveFirst = resolve;
  });
  const all = search().then(
    () => found,
    () => found,
  );
  void all.then(() => resolveFirst(undefined));
  return { first, all };

  async function search(): Promise<void> {
    const gateway = await where;
    if (!gateway) return log.debug('port mapping: no gateway to ask');
    const limit = deadline(DISCOVERY_MS, () => new Error('no answer in time'), signal);
    try {
      await Promise.all(
        Object.entries(PROTOCOLS).map(async ([name, find]) => {
          try {
            const mapper = await find(gateway, limit.signal);
            found.push(mapper);
            resolveFirst(mapper);
          } catch (error) {
            if (!signal.aborted)
              log.debug(`${gateway.gateway} maps no ports by ${name}: ${errorText(error)}`);
          }
        }),
      );
    } finally {
      limit.dispose();
    }
  }
}

/** The default gateway, if it is a router of our own network; behind none there is nothing to map. */
async function locate(): Promise<Gateway | undefined> {
  const local = await outboundAddress(4);
  const kind = classOf(local);
  if (kind !== 'private') return undefined;
  const gateway = await findGateway(networkInterfaces(), local);
  return gateway !== undefined && isIPv4(gateway) && gateway !== local ? { gateway, local } : undefined;
}
