// What `nic.add` and `nic.set` share: the settings of a NIC as they were asked for.
import { parseEgress } from '../../contract/egress.ts';

import { type Nic, type NicRules, parseGroups } from '../../contract/nic-spec.ts';
import { parseRate } from '../../contract/rate.ts';
import type { Services } from '../services.ts';

interface Asked {
  securityGroups?: string[] | undefined;
  egress?: string[] | undefined;
  rateIn?: string | undefined;
  rateOut?: string | undefined;
}

/** Only what was asked for. @throws invalid */
export const rulesFrom = ({ securityGroups, egress, rateIn, rateOut }: Asked): Partial<NicRules> => ({
  ...(securityGroups === undefined ? {} : { securityGroups: parseGroups(securityGroups) }),
  ...(egress === undefined ? {} : { egress: parseEgress(egress) }),
  ...(rateIn === undefined ? {} : { rateIn: parseRate(rateIn) }),
  ...(rateOut === undefined ? {} : { rateOut: parseRate(rateOut) }),
});

/** One NIC of a VM, as the API shows it. */
export function nicView({ id, nic }: { id: string; nic: string }, { vms }: Services): Nic {
  const view = vms
    .get(id)
    .view(null)
    .nics.find((one) => one.id === nic);
  if (!view) throw new Error(`${nic} is missing after it was changed`);
  return view;
}
