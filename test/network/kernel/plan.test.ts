// From what is wanted and what is there to what is done: the plan as a table.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultNicRules } from '../../../src/contract/nic-spec.ts';
import { type ActualState, emptyState, parseActualState } from '../../../src/network/kernel/actual-state.ts';
import { type Action, after, ipCommands, plan, vlanCommands } from '../../../src/network/kernel/plan.ts';
import { type Desired, defaultSettings, type NetworkSpec, type PortSpec } from '../../../src/network/model.ts';

const network = (some: Partial<NetworkSpec> = {}): NetworkSpec => ({
  name: 'default',
  kind: 'nat',
  bridge: 'br-default',
  mac: '06:00:00:00:00:01',
  ipv4: '10.1.2.1/24',
  ipv6: null,
  interface: null,
  ...defaultSettings,
  ...some,
});
const port = (some: Partial<PortSpec> = {}): PortSpec => ({
  tap: 'tabcdefghjkmn0',
  owner: 'abcdefghjkmn',
  network: 'default',
  vm: 'web',
  mac: '52:54:00:00:00:01',
  ipv4: '10.1.2.5',
  ipv6: null,
  up: true,
  vlan: null,
  attached: true,
  pid: null,
  rules: defaultNicRules,
  ...some,
});
const desired = (networks: NetworkSpec[], ports: PortSpec[]): Desired => ({ networks, ports, groups: [], forwards: [] });
const all = desired([network()], [port()]);
const there: ActualState = after(emptyState, plan(all, emptyState));
const tagged = after(emptyState, plan(desired([network()], [port({ vlan: { access: 5, trunk: [] } })]), emptyState));
const lan = network({ name: 'lan', kind: 'bridged', interface: 'eth1', ipv4: null });
const without = (
  present: ActualState,
  change: (maps: {
    bridges: Map<string, unknown>;
    taps: Map<string, unknown>;
    others: Map<string, unknown>;
    vlans: Map<string, unknown>;
  }) => void,
): ActualState => {
  const maps = {
    bridges: new Map<string, unknown>(present.bridges),
    taps: new Map<string, unknown>(present.taps),
    others: new Map<string, unknown>(present.others),
    vlans: new Map<string, unknown>(present.vlans),
  };
  change(maps);
  return maps as unknown as ActualState;
};

const table: [title: string, desired: Desired, present: ActualState, does: Action['do'][]][] = [
  ['emptyState is wanted and emptyState is there', desired([], []), emptyState, []],
  ['everything is made, the bridge first', all, emptyState, ['create bridge', 'create tap']],
  ['what is right is left alone', all, there, []],
  ['a VM that is not plugged in has no tap', desired([network()], [port({ attached: false })]), there, ['remove tap']],
  ['what is not desired is removed, taps first', desired([], []), there, ['remove tap', 'remove bridge']],
  ['a tap that somebody removed is made again', all, without(there, ({ taps }) => taps.clear()), ['create tap']],
  [
    'a tap that lost its bridge is put back',
    all,
    without(there, ({ taps }) => taps.set('tabcdefghjkmn0', { bridge: null, up: true })),
    ['repair tap'],
  ],
  ['a cable is pulled', desired([network()], [port({ up: false })]), there, ['repair tap']],
  [
    'a bridge that somebody shut is opened',
    all,
    without(there, ({ bridges }) =>
      bridges.set('br-default', { addresses: ['10.1.2.1/24'], mac: '06:00:00:00:00:01', up: false, vlans: false }),
    ),
    ['repair bridge'],
  ],
  ['a bridge gets another address', desired([network({ ipv4: '10.9.9.1/24' })], [port()]), there, ['repair bridge']],
  [
    'a NIC in a VLAN needs a bridge that knows them',
    desired([network()], [port({ vlan: { access: 5, trunk: [] } })]),
    there,
    ['repair bridge', 'set vlans'],
  ],
  [
    'a new NIC in a VLAN gets through when it is in it, not before',
    desired([network()], [port({ vlan: { access: 5, trunk: [] } })]),
    emptyState,
    ['create bridge', 'create tap', 'set vlans', 'set tap up'],
  ],
  ['a NIC in the first VLAN is as any other', desired([network()], [port({ vlan: { access: 1, trunk: [] } })]), there, ['repair bridge']],
  [
    'a NIC in a VLAN that lost its bridge is shut until it is in its VLAN again',
    desired([network()], [port({ vlan: { access: 5, trunk: [] } })]),
    without(tagged, ({ taps }) => taps.set('tabcdefghjkmn0', { bridge: null, up: true })),
    ['repair tap', 'set vlans', 'set tap up'],
  ],
  [
    'a NIC whose VLAN somebody changed gets it back',
    desired([network()], [port({ vlan: { access: 5, trunk: [] } })]),
    without(tagged, ({ vlans }) => vlans.set('tabcdefghjkmn0', ['1 pvid untagged'])),
    ['set vlans'],
  ],
  [
    'the cable of a NIC in a VLAN is pulled, and it stays in it',
    desired([network()], [port({ up: false, vlan: { access: 5, trunk: [] } })]),
    tagged,
    ['repair tap'],
  ],
  [
    'a bridged network’s far end has the VLANs of its NICs',
    desired([lan], [port({ network: 'lan', vlan: { access: 5, trunk: [6] } })]),
    after(emptyState, plan(desired([lan], []), emptyState)),
    ['repair bridge', 'set vlans', 'create tap', 'set vlans', 'set tap up'],
  ],
  [
    'a bridged network that comes back while its far end is still there is joined to it again',
    desired([lan], []),
    after(after(emptyState, plan(desired([lan], []), emptyState)), [{ do: 'remove bridge', bridge: 'br-default' }]),
    ['create bridge', 'connect uplink'],
  ],
  [
    'a bridged network is joined to its far end',
    desired([network({ kind: 'bridged', interface: 'eth1', ipv4: null })], []),
    emptyState,
    ['create bridge', 'connect uplink'],
  ],
  ['a stranger’s interface is left alone', all, without(there, ({ others }) => others.set('uplink', null)), []],
];

for (const [title, want, present, does] of table) {
  test(`plan: ${title}`, () => {
    const actions = plan(want, present);
    assert.deepEqual(
      actions.map((action) => action.do),
      does,
    );
    assert.deepEqual(plan(want, after(present, actions)), [], 'once it is done emptyState is left to do');
  });
}

test('the plan becomes input of ip and bridge, and taps get no address of the host', () => {
  const actions = plan(desired([network({ ipv6: 'fd00::1/64' })], [port({ vlan: { access: 5, trunk: [8, 7] } })]), emptyState);
  assert.deepEqual(ipCommands(actions), [
    'tuntap add dev tabcdefghjkmn0 mode tap vnet_hdr',
    'link add name br-default address 06:00:00:00:00:01 type bridge forward_delay 0 stp_state 0 mcast_snooping 0 vlan_filtering 1',
    'address add 10.1.2.1/24 dev br-default',
    'address add fd00::1/64 dev br-default nodad',
    'link set dev br-default up',
    'link set dev tabcdefghjkmn0 master br-default addrgenmode none down',
    'link set dev tabcdefghjkmn0 up',
  ]);
  assert.deepEqual(vlanCommands(actions), [
    'vlan del dev tabcdefghjkmn0 vid 1',
    'vlan add dev tabcdefghjkmn0 vid 5 pvid untagged',
    'vlan add dev tabcdefghjkmn0 vid 7',
    'vlan add dev tabcdefghjkmn0 vid 8',
  ]);
});

test('interfaces are parsed: bridges, taps with their bridge, and others', () => {
  const link = (ifname: string, more: object = {}) => ({ ifname, flags: ['UP'], address: '06:00:00:00:00:01', addr_info: [], ...more });
  const present = parseActualState(
    JSON.stringify([
      link('lo'),
      link('br-default', {
        linkinfo: { info_kind: 'bridge', info_data: { vlan_filtering: 0 } },
        addr_info: [
          { local: '10.1.2.1', prefixlen: 24, scope: 'global' },
          { local: 'fe80::1', prefixlen: 64, scope: 'link' },
        ],
      }),
      link('tabcdefghjkmn0', { master: 'br-default' }),
      link('j-01234567', { master: 'br-lan' }),
    ]),
    '[]',
  );
  assert.deepEqual(plan(all, present), []);
  assert.deepEqual(
    [...present.others],
    [
      ['lo', null],
      ['j-01234567', 'br-lan'],
    ],
  );
});

test('VLANs are parsed, so that a tap in the right ones is not changed', () => {
  const link = (ifname: string, more: object = {}) => ({ ifname, flags: ['UP'], address: '06:00:00:00:00:01', addr_info: [], ...more });
  const links = [
    link('br-default', {
      linkinfo: { info_kind: 'bridge', info_data: { vlan_filtering: 1 } },
      addr_info: [{ local: '10.1.2.1', prefixlen: 24, scope: 'global' }],
    }),
    link('tabcdefghjkmn0', { master: 'br-default' }),
  ];
  const first = { vlan: 1, flags: ['PVID', 'Egress Untagged'] };
  const presentWith = (...vlans: object[]) =>
    parseActualState(
      JSON.stringify(links),
      JSON.stringify([{ ifname: 'br-default', vlans: [first] }, ...(vlans.length > 0 ? [{ ifname: 'tabcdefghjkmn0', vlans }] : [])]),
    );
  const nic = (vlan: PortSpec['vlan']) => desired([network()], [port({ vlan })]);
  const commands = (vlan: PortSpec['vlan'], present: ActualState) => vlanCommands(plan(nic(vlan), present));
  const five = { vlan: 5, flags: ['PVID', 'Egress Untagged'] };
  assert.deepEqual(plan(nic({ access: 5, trunk: [7] }), presentWith(five, { vlan: 7 })), []);
  assert.deepEqual(plan(nic(null), presentWith(first)), []);
  // Of what is right emptyState is touched.
  assert.deepEqual(commands({ access: 5, trunk: [7, 8] }, presentWith(five, { vlan: 6 }, { vlan: 7 })), [
    'vlan del dev tabcdefghjkmn0 vid 6',
    'vlan add dev tabcdefghjkmn0 vid 8',
  ]);
  assert.deepEqual(commands({ access: 5, trunk: [7] }, presentWith({ vlan: 5 }, { vlan: 7, flags: ['Egress Untagged'] })), [
    'vlan add dev tabcdefghjkmn0 vid 5 pvid untagged',
    'vlan add dev tabcdefghjkmn0 vid 7',
  ]);
  // A port in no VLAN is not listed.
  assert.deepEqual(commands(null, presentWith()), ['vlan add dev tabcdefghjkmn0 vid 1 pvid untagged']);
});
