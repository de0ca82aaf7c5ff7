// The inet family: what the namespace routes, what is meant for the namespace itself, and what is rewritten on its way.
//
//   track    marks what belongs to an accepted connection (with br_netfilter: also for frames that stay on one bridge)
//   local    guests reach our DHCP and DNS on their own gateway and nothing else here; nobody else reaches anything
//   route    by the kinds of network; the host's own addresses are refused; then the receiving port's groups
//   relayed  what forwards bring (relays.ts): the receiving port's groups
//   nat networks' senders are masqueraded, at the uplink only
import { VivError } from '../../contract/errors.ts';
import type { Address, Family } from './address.ts';
import { address } from './address.ts';
import { type Facts, type NetworkFacts, portText } from './facts.ts';
import { addressSets, groupChain, groupChains } from './groups.ts';
import { relayed, told, tracked } from './relays.ts';
import { Table } from './ruleset.ts';
import { writeShares } from './shares.ts';
import { accepted, refused } from './verdict.ts';

const ip = (family: Family) => (family === 4 ? 'ip' : 'ip6');

export function inetTable(facts: Facts): Table {
  const table = new Table('inet');
  table.lasting(facts.ports, 'places', (part) => {
    counters(part, facts);
    bridges(part, facts);
    entering(part, facts);
  });
  table.chain('accepted', null, accepted);
  const bySender = ([4, 6] as const).map((family) => `${ip(family)} saddr @count_out_${family}`);
  table.chain('refused_host', null, refused('drop host', ...bySender));
  table.chain('refused_network', null, refused('drop network', ...bySender));
  table.chain(
    'refused_in',
    null,
    refused('drop in', ...([4, 6] as const).map((family) => `${ip(family)} daddr @count_in_${family}`)).toSpliced(-1, 0, ...told),
  );
  table.chain('track', 'type filter hook prerouting priority -150; policy accept', [
    'ct state established,related meta mark set meta mark | 0x1',
    tracked,
  ]);
  local(table, facts);
  route(table, facts);
  relayed(table);
  writeShares(table, facts);
  if (facts.uplink !== null) masquerade(table, facts, facts.uplink);
  return table;
}

function counters(table: Table, { ports }: Facts): void {
  for (const kind of ['out', 'in']) {
    for (const family of [4, 6] as const) {
      const keys = ports.flatMap(({ addresses }) => addresses.filter((own) => own.family === family).map(({ text }) => text));
      table.set(`count_${kind}_${family}`, `type ipv${family}_addr; counter`, keys);
    }
  }
}

function entering(table: Table, { ports }: Facts): void {
  for (const family of [4, 6] as const) {
    const entries = ports.flatMap(({ addresses, network, groups }) =>
      addresses.flatMap((own) =>
        own.family === family ? [[`${network.bridge} . ${own.text}`, `jump ${groupChain(groups, 'in') ?? 'accepted'}`] as const] : [],
      ),
    );
    table.map(`entering_${family}`, `type ifname . ipv${family}_addr : verdict`, entries);
  }
}

function bridges(table: Table, { networks }: Facts): void {
  const of = (fits: (network: NetworkFacts) => boolean) => networks.filter(fits).map(({ bridge }) => bridge);
  table.set(
    'bridges',
    'type ifname',
    of(() => true),
  );
  table.set(
    'outward',
    'type ifname',
    of(({ kind }) => kind === 'nat' || kind === 'routed'),
  );
  table.set(
    'routed',
    'type ifname',
    of(({ kind }) => kind === 'routed'),
  );
  table.set(
    'nat',
    'type ifname',
    of(({ kind }) => kind === 'nat'),
  );
  table.set(
    'unguarded',
    'type ifname',
    of(({ guarded }) => !guarded),
  );
  table.set(
    'same',
    'type ifname . ifname',
    networks.map(({ bridge }) => `${bridge} . ${bridge}`),
  );
  for (const family of [4, 6] as const) {
    const subnets = networks.flatMap((network) => network.subnets).filter((net) => net.family === family);
    table.set(
      `inside_${family}`,
      `type ipv${family}_addr; flags interval`,
      subnets.map(({ text }) => text),
    );
  }
}

function local(table: Table, facts: Facts): void {
  for (const family of [4, 6] as const) {
    const own = ({ gateways }: NetworkFacts) => gateways.filter((gateway: Address) => gateway.family === family);
    table.set(
      `gateways_${family}`,
      `type ifname . ipv${family}_addr`,
      facts.networks.flatMap((network) => own(network).map(({ text }) => `${network.bridge} . ${text}`)),
    );
  }
  table.chain('local_guest', null, [
    'icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-report, mld-listener-done, mld2-listener-report } accept',
    'meta l4proto igmp accept',
    'udp sport 68 udp dport 67 accept',
    'udp sport 546 udp dport 547 accept',
    ...([4, 6] as const).flatMap((family) => [
      `iifname . ${ip(family)} daddr @gateways_${family} meta l4proto { tcp, udp } th dport 53 accept`,
      `iifname . ${ip(family)} daddr @gateways_${family} ${family === 4 ? 'icmp type echo-request' : 'icmpv6 type echo-request'} accept`,
    ]),
    ...hostAccess(facts),
    'goto refused_host',
  ]);
  table.chain('local', 'type filter hook input priority 0; policy accept', [
    'iifname "lo" accept',
    'ct state established,related accept',
    'iifname @bridges goto local_guest',
    'icmp type echo-request accept',
    'icmpv6 type { echo-request, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query } accept',
    'udp dport { 68, 546 } accept',
    'drop',
  ]);
}

function route(table: Table, facts: Facts): void {
  const host = addressSets(table, 'host', () => facts.hostAddresses);
  const fromHost = host.map(({ family, text }) => `oifname @nat ${ip(family)} saddr ${text} return`);
  groupChains(table, facts, 'in', 'goto accepted', 'refused_in');
  table.chain('to_world', null, [
    ...hostAccess(facts),
    ...host.map(({ family, text }) => `${ip(family)} daddr ${text} goto refused_host`),
    'iifname @outward goto accepted',
    'goto refused_network',
  ]);
  table.chain('from_world', null, [
    'ip saddr @inside_4 goto refused_network',
    'ip6 saddr @inside_6 goto refused_network',
    'oifname @routed return',
    ...fromHost,
    'goto refused_network',
  ]);
  table.chain('from_guest', null, ['iifname . oifname @same return', 'iifname @outward oifname @routed return', 'goto refused_network']);
  table.chain('to_guest', null, [
    'iifname vmap @sides',
    'oifname . ip daddr vmap @entering_4',
    'oifname . ip6 daddr vmap @entering_6',
    'oifname @unguarded goto accepted',
    'oifname vmap @standing',
    'accept',
  ]);
  // its maps are empty while the table is exchanged, and the other one decides: see bridge.ts
  table.map(
    'standing',
    'type ifname : verdict',
    facts.networks.map(({ bridge }) => [bridge, 'goto refused_network'] as const),
  );
  const uplink = facts.uplink === null ? [] : [[facts.uplink, 'jump from_world'] as const];
  table.map('sides', 'type ifname : verdict', [...facts.networks.map(({ bridge }) => [bridge, 'jump from_guest'] as const), ...uplink]);
  table.chain('route', 'type filter hook forward priority 0; policy accept', [
    // it stays on its bridge, whose own table decides
    'meta mark & 0x2 == 0x0 iifname @bridges accept',
    'ct state established,related accept',
    'oifname @bridges goto to_guest',
    ...(facts.uplink === null ? [] : [`iifname @bridges oifname ${facts.uplink} goto to_world`]),
    'goto refused_network',
  ]);
}

function hostAccess(facts: Facts): string[] {
  return facts.hostAccess.flatMap((access) => {
    const network = facts.networks.find(({ name }) => name === access.network);
    if (!network) {
      throw new VivError('invalid', `an exception for the host is for network ${JSON.stringify(access.network)}, which is not there`);
    }
    const where = access.address === undefined ? null : address(access.address, 'the address of an exception for the host');
    const ports = `${access.protocol} dport ${portText(access.ports, 'an exception for the host')}`;
    const families = where
      ? [`${ip(where.family)} daddr ${where.text}`]
      : ([4, 6] as const).flatMap((family) => [`${ip(family)} daddr @host_${family}`]);
    return families.map((to) => `iifname ${network.bridge} ${to} ${ports} goto accepted`);
  });
}

function masquerade(table: Table, { networks }: Facts, uplink: string): void {
  for (const family of [4, 6] as const) {
    const subnets = networks.filter(({ kind }) => kind === 'nat').flatMap((network) => network.subnets);
    table.set(
      `masked_${family}`,
      `type ipv${family}_addr; flags interval`,
      subnets.filter((net) => net.family === family).map(({ text }) => text),
    );
  }
  table.chain('mask', 'type nat hook postrouting priority 100; policy accept', [
    `oifname ${uplink} ip saddr @masked_4 masquerade`,
    `oifname ${uplink} ip6 saddr @masked_6 masquerade`,
  ]);
}
