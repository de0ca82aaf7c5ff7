// `network.set`: changes what a network allows, without interrupting its VMs.
import { VivError } from '../../contract/errors.ts';
import { type HostAccess, parseHostAccesses } from '../../contract/host-access.ts';
import { parseRate } from '../../contract/rate.ts';
import { hostInterfaces } from '../../network/kernel/host-network.ts';
import { hasUplink } from '../../network/model.ts';
import type { Networks } from '../../network/networks.ts';
import type { NetworkRecord } from '../../network/record/network.ts';
import type { HandlerOf } from '../handler.ts';
import { viewOf } from './view.ts';

type Settings = Pick<NetworkRecord, 'spoofing' | 'linkLocal' | 'capacityBytesPerSecond' | 'hostAccess'>;

interface Setting {
  name: string;
  change: Partial<Settings>;
  before: Settings;
}

const settingsOf = ({ spoofing, linkLocal, capacityBytesPerSecond, hostAccess }: NetworkRecord): Settings => ({
  ...{ spoofing, linkLocal, capacityBytesPerSecond, hostAccess },
});

export const handler: HandlerOf<'network.set'> = {
  target: ({ name }: Setting) => name,
  queue: () => 'networks',
  prepare: async ({ network: name, spoofing, linkLocal, capacity, hostAccess }, { services }): Promise<Setting> => {
    const { networks } = services;
    const record = networks.records.get(name);
    const rate = capacity === undefined ? undefined : parseRate(capacity);
    const access = hostAccess === undefined ? undefined : parseHostAccesses(hostAccess);
    if (rate?.burstBytes != null) throw new VivError('invalid', `a network’s capacity has no burst; use a form such as 100Mbit`);
    const change: Partial<Settings> = {
      ...(spoofing === undefined ? {} : { spoofing }),
      ...(linkLocal === undefined ? {} : { linkLocal }),
      ...(rate === undefined ? {} : { capacityBytesPerSecond: rate?.bytesPerSecond ?? null }),
      ...(access === undefined ? {} : { hostAccess: access }),
    };
    if (Object.keys(change).length === 0)
      throw new VivError('invalid', `no setting of the network ${name} is given; see: viv network set --help`);
    if (!hasUplink(record) && (rate || (access ?? []).length > 0))
      throw new VivError(
        'invalid',
        `the network ${name} is ${record.kind}, so it has no uplink through this host, and neither a capacity nor host access`,
      );
    if (access !== undefined && access.length > 0) await checkHostAccess(access, networks);
    return { name, change, before: settingsOf(record) };
  },
  steps: [
    {
      name: 'record the present settings',
      run: async ({ name }: Setting, { services: { networks } }) => ({ before: settingsOf(networks.records.get(name)) }),
    },
    {
      name: 'apply the settings',
      run: async ({ name, change }: Setting, { services: { networks, events } }) => {
        await put(networks, name, change);
        events.record({ type: 'network.changed', name, message: `settings of the network ${name} were changed` });
      },
      undo: async ({ name, before }: Setting, { services: { networks } }) => {
        if (networks.records.byName(name)) await put(networks, name, before);
      },
    },
  ],
  output: async ({ name }: Setting, services) => viewOf(services.networks.records.get(name), services, null),
};

async function put(networks: Networks, name: string, change: Partial<Settings>): Promise<void> {
  await networks.records.put({ ...networks.records.get(name), ...change });
  await networks.reconcile();
}

async function checkHostAccess(access: readonly HostAccess[], networks: Networks): Promise<void> {
  const { asUser, programs } = await networks.reconciler.able();
  if (asUser)
    throw new VivError('unsupported', 'host access needs a daemon that runs as root, because VMs cannot reach the host through pasta');
  const own = (await hostInterfaces(programs.ip)).flatMap(({ addresses }) => addresses);
  for (const { address } of access)
    if (address !== null && !own.includes(address))
      throw new VivError('invalid', `${address} is not an address of this host; it has ${own.join(', ') || 'none'}`);
}
