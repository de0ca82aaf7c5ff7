// `network.set`: what a network lets through. The NICs in it stay plugged in.
import { VivError } from '../../contract/errors.ts';
import { type HostAccess, parseHostAccesses } from '../../contract/host-access.ts';
import { parseRate } from '../../contract/rate.ts';
import { hostInterfaces } from '../../network/kernel/host-network.ts';
import { leadsOut } from '../../network/model.ts';
import type { Networks } from '../../network/networks.ts';
import type { NetworkRecord } from '../../network/record/network.ts';
import type { HandlerOf } from '../handler.ts';
import { viewOf } from './view.ts';

type Settings = Pick<NetworkRecord, 'guarded' | 'capacityBytesPerSecond' | 'hostAccess'>;

interface Setting {
  name: string;
  change: Partial<Settings>;
  before: Settings;
}

const settingsOf = ({ guarded, capacityBytesPerSecond, hostAccess }: NetworkRecord): Settings => ({
  ...{ guarded, capacityBytesPerSecond, hostAccess },
});

export const handler: HandlerOf<'network.set'> = {
  target: ({ name }: Setting) => name,
  queue: () => 'networks',
  prepare: async ({ network: name, spoofing, capacity, hostAccess }, { services }): Promise<Setting> => {
    const { networks } = services;
    const record = networks.records.get(name);
    const rate = capacity === undefined ? undefined : parseRate(capacity);
    const access = hostAccess === undefined ? undefined : parseHostAccesses(hostAccess);
    if (rate?.burstBytes != null) throw new VivError('invalid', `the capacity of ${name} has no burst; write it like 100Mbit`);
    const change: Partial<Settings> = {
      ...(spoofing === undefined ? {} : { guarded: spoofing === 'drop' }),
      ...(rate === undefined ? {} : { capacityBytesPerSecond: rate?.bytesPerSecond ?? null }),
      ...(access === undefined ? {} : { hostAccess: access }),
    };
    if (Object.keys(change).length === 0) throw new VivError('invalid', `say what is to change of the network ${name}`);
    if (!leadsOut(record) && (rate || (access ?? []).length > 0))
      throw new VivError(
        'invalid',
        `${name} is ${record.kind}: its way to the world does not lead through this host, so there is no capacity to share and no host to reach`,
      );
    if (access !== undefined && access.length > 0) await checkHostAccess(access, networks);
    return { name, change, before: settingsOf(record) };
  },
  steps: [
    {
      name: 'see what it is now',
      run: async ({ name }: Setting, { services: { networks } }) => ({ before: settingsOf(networks.records.get(name)) }),
    },
    {
      name: 'change it',
      run: async ({ name, change }: Setting, { services: { networks, events } }) => {
        await put(networks, name, change);
        events.record({ type: 'network.set', name, message: `what the network ${name} lets through was changed` });
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
  await networks.bring();
}

async function checkHostAccess(access: readonly HostAccess[], networks: Networks): Promise<void> {
  const { asUser, programs } = await networks.here.able();
  if (asUser)
    throw new VivError('unsupported', 'VMs of an ordinary user reach nothing of the host: their way out (pasta) has no way to it');
  const own = (await hostInterfaces(programs.ip)).flatMap(({ addresses }) => addresses);
  for (const { address } of access)
    if (address !== null && !own.includes(address))
      throw new VivError('invalid', `${address} is no address of this host; it has ${own.join(', ') || 'none'}`);
}
