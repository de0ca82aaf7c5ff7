// Names of interfaces, tables and marks. An interface's name has at most 15 characters (IFNAMSIZ).
import { createHash } from 'node:crypto';

const longest = 15;
const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** The bridge of a network, named after it where that is short enough. */
export function bridgeOf(network: string): string {
  const name = `br-${network}`;
  return name.length <= longest ? name : `bx-${hashOf(network).slice(0, 12)}`;
}

/** The tap of a VM's NIC: `net0` of the VM with the id abc… is tabc…0. */
export const tapOf = (vmId: string, nic: string): string => `t${vmId}${nic.replace(/^net/, '')}`;
const tap = /^t([a-z0-9]{12})(\d{1,2})$/;
export const isTap = (name: string): boolean => tap.test(name);

export interface TapOwner {
  readonly vmId: string;
  readonly nic: string;
}

/** Null: it is not the name of a tap. */
export function tapOwner(name: string): TapOwner | null {
  const [, vmId, number] = tap.exec(name) ?? [];
  return vmId === undefined ? null : { vmId, nic: `net${number}` };
}
export const isBridge = (name: string): boolean => /^b[rx]-/.test(name);

/** The top-level domain of VMs' names. */
export const domain = 'viv';
/** web.default.viv: the VM `web` in the network `default`. */
export const fullName = (vm: string, network: string): string => `${vm}.${network}.${domain}`;

/** The namespace's end of the uplink. */
export const uplinkInNamespace = 'uplink';
/** The host's end, one for each state directory. */
export const uplinkOnHost = (stateDirectory: string): string => `viv${hashOf(stateDirectory).slice(0, 8)}`;
/** Of any state directory. */
export const isUplinkOnHost = (name: string): boolean => /^viv[0-9a-f]{8}$/.test(name);
/** Held while something is changed that root's state directories share. It is root's, so that nobody else can keep it locked. */
export const hostLock = '/run/vivarium.lock';
/** The nftables table of the host, where the uplink leads through it. */
export const hostTable = (stateDirectory: string): string => `viv_${hashOf(stateDirectory).slice(0, 8)}`;

/** Marks: packets that relays send to guests, kept by the connection (native/port-forward/forward.h has the same); and the guests' replies to them. */
export const relayMark = 0x10;
export const replyMark = 0x20;
/** The routing table of those replies, which takes the clients' addresses for local ones. */
export const replyRouteTable = 100;

/** The two ends of the pair that connects a bridged network to the host's interface. */
export const bridgeUplinkInNamespace = (network: string): string => `j-${hashOf(network).slice(0, 8)}`;
export const bridgeUplinkOnHost = (stateDirectory: string, network: string): string =>
  `vj${hashOf(`${stateDirectory}\0${network}`).slice(0, 8)}`;
/** The bridge that is created on the host around an interface that is not a bridge. */
export const hostBridge = (stateDirectory: string, network: string): string => `vb${hashOf(`${stateDirectory}\0${network}`).slice(0, 8)}`;

/** Fixed, whichever taps come and go: guests cache the gateway's MAC address. */
export function bridgeMac(stateDirectory: string, network: string): string {
  const hash = hashOf(`${stateDirectory}\0${network}`);
  return ['06', ...[0, 2, 4, 6, 8].map((at) => hash.slice(at, at + 2))].join(':');
}
