// The VMs of the VLANs' test, and every frame that they send: each kind under a label of its own, `times` times.
import { defaultNicRules } from '../../src/contract/nic-spec.ts';
import { bridgeMac, bridgeOf, bridgeUplinkInNamespace, tapOf } from '../../src/network/kernel/interface-names.ts';
import { type Desired, defaultSettings, type NetworkSpec, type PortSpec } from '../../src/network/model.ts';
import { arp, frame, ip, udp } from '../network/firewall/frame.ts';
import { mark, type Play, type Sending } from './vlan-guests.ts';

export const stateDirectory = '/tmp/vlan-home';
export const times = 50;
const everyone = 'ff:ff:ff:ff:ff:ff';

interface Vm {
  readonly network: 'lan' | 'street';
  readonly vlan: PortSpec['vlan'];
  readonly number: number;
}
const access = (id: number) => ({ access: id, trunk: [] });
const vms: Readonly<Record<string, Vm>> = {
  a5: { network: 'lan', vlan: access(5), number: 10 },
  b5: { network: 'lan', vlan: access(5), number: 11 },
  a6: { network: 'lan', vlan: access(6), number: 12 },
  b6: { network: 'lan', vlan: access(6), number: 13 },
  trunk: { network: 'lan', vlan: { access: null, trunk: [5, 6] }, number: 14 },
  mixed: { network: 'lan', vlan: { access: 5, trunk: [6] }, number: 15 },
  plain: { network: 'lan', vlan: null, number: 16 },
  other: { network: 'lan', vlan: null, number: 17 },
  // Their network is joined to an interface of the host; beyond it are 10.77.1.1 without a tag and 10.77.5.1 in VLAN 5.
  out5: { network: 'street', vlan: access(5), number: 20 },
  out: { network: 'street', vlan: null, number: 21 },
};

const letters = 'abcdefghjk';
export const tapFor = (name: string): string =>
  tapOf(`VM${name.replaceAll(/\d/g, (digit) => letters[Number(digit)] ?? '')}xxxxx`.slice(0, 12), 'net0');
export const macOf = (name: string): string => `52:54:00:00:00:${vms[name]?.number}`;
const addressOf = (name: string) => `10.77.${vms[name]?.network === 'lan' ? 0 : 1}.${vms[name]?.number}`;

const network = (name: string, some: Partial<NetworkSpec>): NetworkSpec => ({
  ...{
    name,
    kind: 'nat',
    bridge: bridgeOf(name),
    mac: bridgeMac(stateDirectory, name),
    ipv4: null,
    ipv6: null,
    interface: null,
    ...defaultSettings,
  },
  ...some,
});
const lan = network('lan', { ipv4: '10.77.0.1/24', ipv6: 'fd77::1/64' });
const street = network('street', { kind: 'bridged', interface: 'street0' });
export const streetJoint = bridgeUplinkInNamespace('street');

/** @param bridged whether the street is there as well, which takes root */
export function world(bridged: boolean): Desired {
  const ports = Object.entries(vms).map(([name, { network, vlan }]) => ({
    ...{
      tap: tapFor(name),
      owner: name,
      vm: name,
      mac: macOf(name),
      network,
      vlan,
      up: true,
      attached: true,
      pid: null,
      ipv6: null,
      rules: defaultNicRules,
    },
    ipv4: network === 'lan' ? addressOf(name) : null,
  }));
  return bridged
    ? { networks: [lan, street], ports, groups: [], forwards: [] }
    : { networks: [lan], groups: [], forwards: [], ports: ports.filter((port) => port.network === 'lan') };
}

interface Frame {
  readonly tags?: readonly number[];
  readonly to?: string;
  readonly mac?: string;
  readonly address?: string;
}

const word = (value: number) => Buffer.from([value >> 8, value & 255]);

function tagged(tags: readonly number[], type: number, payload: Buffer): [type: number, payload: Buffer] {
  const [first, ...rest] = tags;
  if (first === undefined) return [type, payload];
  const [inner, more] = tagged(rest, type, payload);
  return [0x8100, Buffer.concat([word(first), word(inner), more])];
}

/** A UDP packet to everyone, from the VM itself, without a tag, unless told otherwise. */
function packet(from: string, label: string, { tags = [], to = everyone, mac = macOf(from), address = addressOf(from) }: Frame): string {
  const data = udp(4000, 4000, Buffer.from(`${mark}${label}.`));
  return frame(to, mac, ...tagged(tags, 0x0800, ip(address, address.replace(/\d+$/, '255'), 17, data)));
}

function discover(from: string, tags: readonly number[] = []): string {
  const mac = Buffer.from(macOf(from).replaceAll(':', ''), 'hex');
  const head = Buffer.from('01010600000000010000800000000000000000000000000000000000', 'hex');
  const options = Buffer.from('638253633501013703010306ff', 'hex');
  const body = Buffer.concat([head, mac, Buffer.alloc(202), options]);
  return frame(everyone, macOf(from), ...tagged(tags, 0x0800, ip('0.0.0.0', '255.255.255.255', 17, udp(68, 67, body))));
}

function resolve(from: string, name: string): string {
  const labels = name.split('.').map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]));
  const question = Buffer.concat([Buffer.from('000101000001000000000000', 'hex'), ...labels, Buffer.from('0000010001', 'hex')]);
  return frame(lan.mac, macOf(from), 0x0800, ip(addressOf(from), '10.77.0.1', 17, udp(5353, 53, question)));
}

const whoHas = (from: string, target: string, sender = addressOf(from)): string =>
  frame(everyone, macOf(from), 0x0806, arp(1, { mac: macOf(from), ip: sender }, { mac: '00:00:00:00:00:00', ip: target }));

const whoRoutes = (from: string): string =>
  frame(
    '33:33:00:00:00:02',
    macOf(from),
    0x86dd,
    ip(`fe80::5054:ff:fe00:${vms[from]?.number}`, 'ff02::2', 58, Buffer.from('8500000000000000', 'hex')),
  );

export function sendings(bridged: boolean): Sending[] {
  const of = (from: string, label: string, some: Frame = {}): Sending => ({ from, hex: packet(from, label, some), times });
  const once = (from: string, hex: string): Sending => ({ from, hex, times: 1 });
  const all = [
    ...['a5', 'a6', 'plain', 'mixed'].map((from) => of(from, `${from}, no tag`)),
    ...[5, 6, 7, 1].map((tag) => of('trunk', `trunk, tag ${tag}`, { tags: [tag] })),
    of('trunk', 'trunk, no tag'),
    of('trunk', 'trunk, forged MAC', { tags: [5], mac: macOf('b6') }),
    ...[5, 6, 7].map((tag) => of('mixed', `mixed, tag ${tag}`, { tags: [tag] })),
    of('mixed', 'mixed, forged address', { address: addressOf('a5') }),
    ...[[0], [1], [5], [6], [5, 6]].map((tags) => of('a5', `a5, tag ${tags.join('/')}`, { tags })),
    ...[1, 5].map((tag) => of('plain', `plain, tag ${tag}`, { tags: [tag] })),
    of('a5', 'a5, forged MAC', { mac: macOf('b5') }),
    of('a5', 'a5, forged address', { address: addressOf('b5') }),
    of('a5', 'a5, address of the gateway', { address: '10.77.0.1' }),
    of('a5', 'a5, to a6 alone', { to: macOf('a6') }),
    // Those in a VLAN ask the network's services first: who answers plain would have answered them by then.
    ...['a5', 'plain'].flatMap((from) => [
      once(from, whoHas(from, '10.77.0.1')),
      once(from, whoRoutes(from)),
      once(from, discover(from)),
      once(from, resolve(from, 'other.lan.viv')),
      once('trunk', discover('trunk', [5])),
    ]),
    of('out5', 'out5, no tag'),
    of('out5', 'out5, tag 5', { tags: [5] }),
    of('out', 'out, no tag'),
    once('out5', whoHas('out5', '10.77.1.1', '10.77.5.2')),
    once('out5', whoHas('out5', '10.77.5.1', '10.77.5.2')),
    once('out', whoHas('out', '10.77.5.1')),
    once('out', whoHas('out', '10.77.1.1')),
    ...Object.keys(vms).map((from) => once(from, packet(from, `end of ${from}`, {}))),
  ];
  return bridged ? all : all.filter(({ from }) => vms[from]?.network === 'lan');
}

export function until(bridged: boolean): Play['until'] {
  const inside = [
    ...['b5', 'trunk', 'mixed'].map((name) => [name, 'end of a5'] as const),
    ['a5', 'end of b5'],
    ['a6', 'end of b6'],
    ['b6', 'end of a6'],
    ['plain', 'end of other'],
    ['other', 'end of plain'],
    ['plain', 'ARP answer of 10.77.0.1'],
    ['plain', 'DHCP answer of 10.77.0.1'],
    ['plain', 'router advertisement'],
    ['plain', `DNS answer of 10.77.0.1: ${addressOf('other')}`],
  ] as const;
  return bridged ? [...inside, ['out', 'ARP answer of 10.77.1.1'], ['out5', 'ARP answer of 10.77.5.1']] : inside;
}
