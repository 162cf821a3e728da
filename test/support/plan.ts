import { type Plan, planPunch } from '../../src/punch/plan.js';
import type { Told } from '../../src/punch/plexus.js';
import type { Endpoint } from '../../src/util/endpoint.js';
import type { PunchRole } from '../../src/wire/confirm.js';
import type { Candidate } from '../../src/wire/extension.js';
import { type NatReport, UNMEASURED } from '../../src/wire/nat-report.js';

export interface PlanOptions {
  readonly hops?: number;
  readonly measured?: boolean;
  readonly own?: NatReport;
  readonly theirs?: NatReport;
  /** Both sides know the choice. */
  readonly chooses?: boolean;
  readonly birthday?: boolean;
  readonly ownFresh?: number;
  readonly fresh?: readonly Endpoint[];
  readonly candidates?: readonly Candidate[];
  readonly v6?: number;
  readonly plexus?: boolean;
  readonly told?: Told;
}

/** The plan toward a peer of which nothing is known but what is given. */
export function planFor(role: PunchRole, peer: Endpoint, o: PlanOptions = {}): Plan {
  return planPunch({
    role,
    own: {
      report: o.own ?? UNMEASURED,
      fresh: o.ownFresh ?? 0,
      family: 4,
      ...(o.v6 !== undefined && { v6: o.v6 }),
      ...(o.told && { told: o.told }),
    },
    peer: {
      endpoint: peer,
      fresh: o.fresh ?? [],
      candidates: o.candidates ?? [],
      report: o.theirs ?? UNMEASURED,
      chooses: o.chooses ?? false,
      birthday: o.birthday ?? false,
      ...(o.plexus && { plexus: true }),
    },
    hops: o.hops ?? 7,
    measured: o.measured ?? false,
  });
}
