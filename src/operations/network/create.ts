// `network.create`: everything that could be wrong with a network is found before anything changes; the kernel has it when the first
// VM in it starts.
import { VivError } from '../../contract/errors.ts';
import type { Network } from '../../contract/network.ts';
import { formatSubnet } from '../../network/address/address.ts';
import { askedSubnet, checkFree } from '../../network/address/subnet.ts';
import { bridgeObstacle } from '../../network/kernel/bridgeable.ts';
import { hostInterfaces } from '../../network/kernel/host-network.ts';
import type { Networks } from '../../network/networks.ts';
import { NetworkRecord, networkNameTaken } from '../../network/record/network.ts';
import type { HandlerOf } from '../handler.ts';
import { projectId } from '../project/one.ts';
import { viewOf } from './view.ts';

interface Creating {
  name: string;
  record: NetworkRecord;
}

type Asked = Pick<Network, 'kind'> & { ipv4?: string | undefined; ipv6?: string | undefined; interface?: string | undefined };

export const handler: HandlerOf<'network.create'> = {
  target: ({ name }: Creating) => name,
  // One after the other: two at once could choose the same subnet.
  queue: () => 'networks',
  prepare: async ({ network: name, project, ...asked }, { services }): Promise<Creating> => ({
    name,
    record: NetworkRecord.parse({
      ...{ name, kind: asked.kind, ...(await subnets(name, asked, services.networks)) },
      ...{ interface: asked.interface ?? null, project: projectId(project, services), createdAt: Date.now() },
    }),
  }),
  admit: async ({ record }: Creating, { networks }) => {
    if (networks.records.byName(record.name)) throw networkNameTaken(record.name);
    return 'accept';
  },
  steps: [
    {
      name: 'enter it',
      run: async ({ name, record }: Creating, { services: { networks, events } }) => {
        const taken = await networks.taken();
        const own = networks.records.byName(name);
        if (!own) {
          if (record.interface !== null) checkAlone(name, record.interface, networks);
          for (const text of [record.ipv4, record.ipv6]) if (text !== null) checkFree(askedSubnet(text, text.includes(':') ? 6 : 4), taken);
        }
        await networks.records.insert(record);
        events.record({ type: 'network.created', name, message: `the network ${name} was made` });
      },
      undo: async ({ name, record }: Creating, { services: { networks } }) => {
        if (networks.records.byName(name)?.createdAt === record.createdAt) await networks.records.drop(name);
      },
    },
  ],
  output: async ({ name }: Creating, services) => viewOf(services.networks.records.get(name), services, null),
};

/** @throws in_use */
function checkAlone(name: string, host: string, { records }: Networks): void {
  const other = records.all().find((one) => one.name !== name && one.interface === host);
  if (other) throw new VivError('in_use', `the network ${other.name} is joined to ${host} already`);
}

/** @throws invalid, unsupported, in_use */
async function subnets(
  name: string,
  { kind, ipv4, ipv6, interface: host }: Asked,
  networks: Networks,
): Promise<Pick<NetworkRecord, 'ipv4' | 'ipv6'>> {
  const able = await networks.here.able();
  if (networks.records.byName(name)) throw networkNameTaken(name);
  if (able.asUser && (kind === 'bridged' || kind === 'routed'))
    throw new VivError('unsupported', `a network can only be ${kind} where the daemon runs as root; nat and isolated are for everybody`);
  if (kind !== 'bridged' && host !== undefined)
    throw new VivError('invalid', `--interface is for bridged networks, and ${name} is to be ${kind}`);
  if (kind === 'bridged') {
    if (host === undefined) throw new VivError('invalid', `say which interface of the host ${name} is to be joined to: --interface eth1`);
    if (ipv4 !== undefined || ipv6 !== undefined)
      throw new VivError('invalid', `the host’s own network gives the addresses in ${name}; leave --ipv4 and --ipv6 out`);
    checkAlone(name, host, networks);
    const obstacle = bridgeObstacle(await hostInterfaces(able.programs.ip), host);
    if (obstacle !== null) throw obstacle;
    return { ipv4: null, ipv6: null };
  }
  const free = await networks.freeSubnets(name);
  const one = (asked: string | undefined, family: 4 | 6, standard: string) =>
    asked === undefined ? standard : asked === 'none' ? null : formatSubnet(askedSubnet(asked, family));
  const chosen = { ipv4: one(ipv4, 4, free.ipv4), ipv6: one(ipv6, 6, free.ipv6) };
  if (chosen.ipv4 === null && chosen.ipv6 === null && kind !== 'isolated')
    throw new VivError('invalid', `a network that is ${kind} has a subnet, IPv4 or IPv6`);
  const taken = await networks.taken();
  for (const text of [chosen.ipv4, chosen.ipv6]) if (text !== null) checkFree(askedSubnet(text, text.includes(':') ? 6 : 4), taken);
  return chosen;
}
