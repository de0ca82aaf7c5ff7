// `network.create`: checks everything first, then records the network. The kernel gets it when the first VM in it starts.
import { VivError } from '../../contract/errors.ts';
import type { Network } from '../../contract/network.ts';
import { formatSubnet } from '../../network/address/address.ts';
import { askedSubnet, checkFree } from '../../network/address/subnet.ts';
import { bridgeObstacle } from '../../network/kernel/bridgeable.ts';
import { hostInterfaces } from '../../network/kernel/host-network.ts';
import { defaultSettings } from '../../network/model.ts';
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
  // One at a time: two could choose the same subnet.
  queue: () => 'networks',
  prepare: async ({ network: name, project, ...asked }, { services }): Promise<Creating> => ({
    name,
    record: NetworkRecord.parse({
      ...defaultSettings,
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
      name: 'record the network',
      run: async ({ name, record }: Creating, { services: { networks, events } }) => {
        const taken = await networks.choice.subnetsInUse();
        const own = networks.records.byName(name);
        if (!own) {
          if (record.interface !== null) checkInterfaceFree(name, record.interface, networks);
          for (const text of [record.ipv4, record.ipv6]) if (text !== null) checkFree(askedSubnet(text, text.includes(':') ? 6 : 4), taken);
        }
        await networks.records.insert(record);
        events.record({ type: 'network.created', name, message: `the network ${name} was created` });
      },
      undo: async ({ name, record }: Creating, { services: { networks } }) => {
        if (networks.records.byName(name)?.createdAt === record.createdAt) await networks.records.drop(name);
      },
    },
  ],
  output: async ({ name }: Creating, services) => viewOf(services.networks.records.get(name), services, null),
};

/** @throws in_use */
function checkInterfaceFree(name: string, host: string, { records }: Networks): void {
  const other = records.all().find((one) => one.name !== name && one.interface === host);
  if (other) throw new VivError('in_use', `${host} is used by the network ${other.name} already; choose another interface`);
}

/** @throws invalid, unsupported, in_use */
async function subnets(
  name: string,
  { kind, ipv4, ipv6, interface: host }: Asked,
  networks: Networks,
): Promise<Pick<NetworkRecord, 'ipv4' | 'ipv6'>> {
  const able = await networks.reconciler.able();
  if (networks.records.byName(name)) throw networkNameTaken(name);
  if (able.asUser && (kind === 'bridged' || kind === 'routed'))
    throw new VivError('unsupported', `a ${kind} network needs a daemon that runs as root; use --kind nat or isolated`);
  if (kind !== 'bridged' && host !== undefined)
    throw new VivError('invalid', `--interface is for bridged networks only, and ${name} is ${kind}; leave it out`);
  if (kind === 'bridged') {
    if (host === undefined)
      throw new VivError(
        'invalid',
        `a bridged network needs an interface of the host; give one with --interface, such as --interface eth1`,
      );
    if (ipv4 !== undefined || ipv6 !== undefined)
      throw new VivError(
        'invalid',
        `a bridged network has no subnet of its own, because the host’s network assigns the addresses; leave --ipv4 and --ipv6 out`,
      );
    checkInterfaceFree(name, host, networks);
    const obstacle = bridgeObstacle(await hostInterfaces(able.programs.ip), host);
    if (obstacle !== null) throw obstacle;
    return { ipv4: null, ipv6: null };
  }
  const free = await networks.choice.freeSubnets(name);
  const one = (asked: string | undefined, family: 4 | 6, standard: string) =>
    asked === undefined ? standard : asked === 'none' ? null : formatSubnet(askedSubnet(asked, family));
  const chosen = { ipv4: one(ipv4, 4, free.ipv4), ipv6: one(ipv6, 6, free.ipv6) };
  if (chosen.ipv4 === null && chosen.ipv6 === null && kind !== 'isolated')
    throw new VivError('invalid', `a ${kind} network needs an IPv4 or IPv6 subnet; leave --ipv4 or --ipv6 out to get one`);
  const taken = await networks.choice.subnetsInUse();
  for (const text of [chosen.ipv4, chosen.ipv6]) if (text !== null) checkFree(askedSubnet(text, text.includes(':') ? 6 : 4), taken);
  return chosen;
}
