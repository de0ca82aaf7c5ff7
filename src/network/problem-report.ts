// The event log's entry for a problem of a network, a port forward or a NIC that is new or gone. VMs run on in each case. Pure.
import type { Report } from '../host/event-bus.ts';
import { tapOwner } from './kernel/interface-names.ts';
import type { ProblemChange } from './kernel/problem.ts';
import type { NicOwner } from './model.ts';

interface Lookup {
  readonly vm: (id: string) => NicOwner | undefined;
  /** Id of the VM that a port forward leads to. */
  readonly vmOfForward: (forward: string) => string | undefined;
  /** The host's interface of a bridged network. */
  readonly interfaceOf: (network: string) => string | null | undefined;
}

/** Null: its VM has been removed. */
export function problemReport({ of, name, problem }: ProblemChange, find: Lookup): Report | null {
  if (of === 'network')
    return problem === null
      ? { type: 'network.uplink-restored', name, message: `the network ${name} is connected to ${find.interfaceOf(name)} again` }
      : { type: 'network.uplink-lost', name, message: `${problem}; until that is repaired, VMs in ${name} reach only each other` };
  const owner = of === 'tap' ? tapOwner(name) : null;
  const vm = find.vm(owner?.vmId ?? find.vmOfForward(name) ?? '');
  if (!vm) return null;
  const about = { subject: vm.id, name: vm.name };
  if (of === 'forward')
    return problem === null
      ? { ...about, type: 'forward.opened', message: `the port forward ${name} to ${vm.name} is open` }
      : { ...about, type: 'forward.failed', message: `the port forward ${name} to ${vm.name} is not open: ${problem}` };
  return problem === null
    ? { ...about, type: 'nic.reconnected', message: `the tap of ${owner?.nic} of ${vm.name} was removed on the host and has been restored` }
    : {
        ...about,
        type: 'nic.lost',
        message: `the tap of ${owner?.nic} of ${vm.name} was removed on the host and could not be restored (${problem}). Restart ${vm.name} to connect it again`,
      };
}
