// Frames of VMs that are in a network: forged ones of every kind, right ones, and one that says that no more follow.
import { arp, frame, ip, ipBytes, neighbour, udp } from './frame.ts';

export const nobody = '52:54:00:00:00:ee';
export const mark = Buffer.from('forged frame mark');
export const end = Buffer.from('the end of frames');
const everyone = 'ff:ff:ff:ff:ff:ff';

/** `local` is what follows from the MAC. */
export interface Party {
  readonly mac: string;
  readonly ip: string;
  readonly ip6: string;
  readonly local: string;
}

interface Parties {
  readonly evil: Party;
  readonly victim: Party;
  readonly gateway: Omit<Party, 'mac'>;
  /** A neighbour's addresses. */
  readonly other: Omit<Party, 'mac' | 'local'>;
}

const data = udp(4000, 4000, mark);
const dhcp = (mac: string) =>
  Buffer.concat([
    Buffer.from('0101060000000001', 'hex'),
    Buffer.alloc(20),
    Buffer.from(mac.replaceAll(':', ''), 'hex'),
    Buffer.alloc(202),
    mark,
  ]);
const hopByHop = { kind: 0, header: Buffer.from('00050200000100'.slice(0, 14), 'hex') };
export const marked = (payload: Buffer) => Buffer.concat([payload, Buffer.from([14, 3]), mark, Buffer.alloc(24 - 2 - mark.length)]);

const two = (byte = 0): string => byte.toString(16).padStart(2, '0');

/** As hexadecimal digits, by what they are. */
export function framesOf({ evil, victim, gateway, other }: Parties): {
  forged: Readonly<Record<string, string>>;
  right: Readonly<Record<string, string>>;
  last: string;
} {
  const asked = [...ipBytes(victim.ip6).subarray(13)];
  const forged: Readonly<Record<string, string>> = {
    'another MAC': frame(victim.mac, nobody, 0x0800, ip(evil.ip, victim.ip, 17, data)),
    'a neighbour’s IPv4 address': frame(victim.mac, evil.mac, 0x0800, ip(other.ip, victim.ip, 17, data)),
    'the gateway’s IPv4 address': frame(victim.mac, evil.mac, 0x0800, ip(gateway.ip, victim.ip, 17, data)),
    'a neighbour’s IPv6 address': frame(victim.mac, evil.mac, 0x86dd, ip(other.ip6, victim.ip6, 17, data)),
    'the gateway’s link-local address': frame(victim.mac, evil.mac, 0x86dd, ip(gateway.local, victim.local, 17, data)),
    'an ARP answer for the gateway': frame(
      victim.mac,
      evil.mac,
      0x0806,
      Buffer.concat([arp(2, { mac: evil.mac, ip: gateway.ip }, victim), mark]),
    ),
    'an ARP question that claims the gateway': frame(
      everyone,
      evil.mac,
      0x0806,
      Buffer.concat([arp(1, { mac: evil.mac, ip: gateway.ip }, { mac: everyone, ip: gateway.ip }), mark]),
    ),
    'ARP in the name of another MAC': frame(
      victim.mac,
      evil.mac,
      0x0806,
      Buffer.concat([arp(2, { mac: nobody, ip: evil.ip }, victim), mark]),
    ),
    'a neighbour advertisement for the gateway': frame(
      victim.mac,
      evil.mac,
      0x86dd,
      ip(evil.local, victim.local, 58, marked(neighbour(136, gateway.ip6, evil.mac))),
    ),
    'the same behind another header': frame(
      victim.mac,
      evil.mac,
      0x86dd,
      ip(evil.local, victim.local, 58, marked(neighbour(136, gateway.ip6, evil.mac)), [hopByHop]),
    ),
    'a neighbour’s address claimed while it is looked for': frame(
      `33:33:ff:${asked.map(two).join(':')}`,
      evil.mac,
      0x86dd,
      ip(
        '::',
        `ff02::1:ff${two(asked[0])}:${two(asked[1])}${two(asked[2])}`,
        58,
        marked(neighbour(135, victim.ip6, evil.mac)).fill(14, 24, 25),
      ),
    ),
    'a router advertisement': frame(
      '33:33:00:00:00:01',
      evil.mac,
      0x86dd,
      ip(evil.local, 'ff02::1', 58, marked(Buffer.from('86000000400007080000000000000000', 'hex'))),
    ),
    'an IPv6 redirect': frame(
      victim.mac,
      evil.mac,
      0x86dd,
      ip(evil.local, victim.local, 58, marked(Buffer.concat([Buffer.from('8900000000000000', 'hex'), Buffer.alloc(32)]))),
    ),
    'an IPv4 redirect': frame(
      victim.mac,
      evil.mac,
      0x0800,
      ip(evil.ip, victim.ip, 1, Buffer.concat([Buffer.from('05010000', 'hex'), ipBytes(evil.ip), mark])),
    ),
    'an answer of a DHCP server': frame(everyone, evil.mac, 0x0800, ip(evil.ip, '255.255.255.255', 17, udp(67, 68, mark))),
    'an answer of a DHCPv6 server': frame(victim.mac, evil.mac, 0x86dd, ip(evil.local, victim.local, 17, udp(547, 546, mark))),
    'a DHCP request for another MAC': frame(everyone, evil.mac, 0x0800, ip('0.0.0.0', '255.255.255.255', 17, udp(68, 67, dhcp(nobody)))),
    'a kind of frame that is not IP': frame(victim.mac, evil.mac, 0x88cc, mark),
    'a VLAN tag': frame(victim.mac, evil.mac, 0x8100, Buffer.concat([Buffer.from('00010800', 'hex'), ip(gateway.ip, victim.ip, 17, data)])),
  };

  const right: Readonly<Record<string, string>> = {
    IPv4: frame(victim.mac, evil.mac, 0x0800, ip(evil.ip, victim.ip, 17, data)),
    IPv6: frame(victim.mac, evil.mac, 0x86dd, ip(evil.ip6, victim.ip6, 17, data)),
    ARP: frame(everyone, evil.mac, 0x0806, Buffer.concat([arp(1, evil, victim), mark])),
    'its own neighbour advertisement': frame(
      victim.mac,
      evil.mac,
      0x86dd,
      ip(evil.local, victim.local, 58, marked(neighbour(136, evil.ip6, evil.mac))),
    ),
    'a DHCP request': frame(everyone, evil.mac, 0x0800, ip('0.0.0.0', '255.255.255.255', 17, udp(68, 67, dhcp(evil.mac)))),
  };
  return { forged, right, last: frame(victim.mac, evil.mac, 0x0800, ip(evil.ip, victim.ip, 17, udp(4000, 4000, end))) };
}
