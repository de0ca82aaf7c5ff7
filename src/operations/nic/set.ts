// `nic.set`: a NIC's link, security groups, egress policy and rate limits, changed together while it is in use.
import { VivError } from '../../contract/errors.ts';
import type { NicRules } from '../../contract/nic-spec.ts';
import { nicOf, setLink, setNicRules } from '../../vm/device/nic-hotplug.ts';
import { isVirtual, rulesOf } from '../../vm/device/nics.ts';
import type { HandlerOf } from '../handler.ts';
import type { Services } from '../services.ts';
import { type OnVm, onVm } from '../vm/one.ts';
import { nicView, rulesFrom } from './settings.ts';

interface Settings {
  rules: Partial<NicRules>;
  /** Undefined: left as it is. */
  up?: boolean;
}

interface Setting extends OnVm {
  nic: string;
  change: Settings;
  before: Settings;
}

export const handler: HandlerOf<'nic.set'> = {
  ...onVm,
  prepare: async ({ vm: vmRef, nic: nicId, link, ...asked }, { services: { vms, networks } }): Promise<Setting> => {
    const vm = vms.find(vmRef);
    const nic = nicOf(vm, nicId);
    const rules = rulesFrom(asked);
    if (link === undefined && Object.keys(rules).length === 0)
      throw new VivError('invalid', `no setting of ${nicId} of ${vm.name} is given; see: viv nic set --help`);
    if (Object.keys(rules).length > 0 && !isVirtual(nic))
      throw new VivError(
        'unsupported',
        `${nicId} of ${vm.name} is in QEMU’s own network (user), which has no rules and no limits; use a NIC in one of Vivarium’s networks instead`,
      );
    if (link !== undefined && vm.record.state === 'suspended')
      throw new VivError('wrong_state', `cannot change the link of ${nicId}: ${vm.name} is suspended. Start it first`);
    await networks.choice.checkRules({ securityGroups: [], egress: null, ...rules });
    const change = { rules, ...(link === undefined ? {} : { up: link === 'up' }) };
    return { id: vm.id, name: vm.name, nic: nicId, change, before: { rules: rulesOf(nic), up: nic.up } };
  },
  steps: [
    {
      name: 'record the present settings',
      run: async ({ id, nic: nicId }: Setting, { services: { vms } }) => {
        const nic = nicOf(vms.get(id), nicId);
        return { before: { rules: rulesOf(nic), up: nic.up } };
      },
    },
    {
      name: 'apply the settings',
      run: async ({ id, name, nic, change }: Setting, { services }) => {
        for (const group of change.rules.securityGroups ?? []) services.networks.groups.get(group);
        await apply(services, id, nic, change);
        services.events.record({ type: 'nic.changed', subject: id, name, message: `settings of ${nic} of ${name} were changed` });
      },
      undo: async ({ id, nic, change, before }: Setting, { services }) => {
        if (!services.vms.byId(id)) return;
        const { up } = before;
        await apply(services, id, nic, {
          rules: Object.keys(change.rules).length === 0 ? {} : before.rules,
          ...(change.up === undefined || up === undefined ? {} : { up }),
        });
      },
    },
  ],
  output: async (state: Setting, services) => nicView(state, services),
};

async function apply(services: Services, id: string, nic: string, { rules, up }: Settings): Promise<void> {
  const vm = services.vms.get(id);
  if (Object.keys(rules).length > 0) await setNicRules(vm, services, nic, rules);
  if (up !== undefined) await setLink(vm, services, nic, up);
}
