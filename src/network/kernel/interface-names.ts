// Names of what this room makes. Interfaces have at most 15 characters (IFNAMSIZ).
import { createHash } from 'node:crypto';

const longest = 15;
const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** The bridge of a network: by its name where that is short enough. */
export function bridgeOf(network: string): string {
  const name = `br-${network}`;
  return name.length <= longest ? name : `bx-${hashOf(network).slice(0, 12)}`;
}

/** The tap of a VM's NIC: `net0` of a VM with the id abc… is tabc…0. */
export const tapOf = (machineId: string, nic: string): string => `t${machineId}${nic.replace(/^net/, '')}`;
const tap = /^t([a-z0-9]{12})(\d{1,2})$/;
export const isTap = (name: string): boolean => tap.test(name);
/** Whose tap it is; null: it is none. */
export function tapOwner(name: string): { machineId: string; nic: string } | null {
  const [, machineId, number] = tap.exec(name) ?? [];
  return machineId === undefined ? null : { machineId, nic: `net${number}` };
}
export const isBridge = (name: string): boolean => /^b[rx]-/.test(name);

/** All VMs' names end in it. */
export const domain = 'viv';
/** web.default.viv is the VM `web` in the network `default`. */
export const fullName = (vm: string, network: string): string => `${vm}.${network}.${domain}`;

/** The way out, as it is called inside the namespace. */
export const uplinkInside = 'uplink';
/** And at the host's end, one for each VIV_HOME. */
export const uplinkOutside = (stateDirectory: string): string => `viv${hashOf(stateDirectory).slice(0, 8)}`;
/** Of whichever home. */
export const isUplinkOutside = (name: string): boolean => /^viv[0-9a-f]{8}$/.test(name);
/** Held by who changes what all homes of root have in common. It is root's, so that nobody else can keep it locked. */
export const hostLock = '/run/vivarium.lock';
/** The table of rules that the host itself gets, where the way out leads through it. */
export const hostTable = (stateDirectory: string): string => `viv_${hashOf(stateDirectory).slice(0, 8)}`;

/** Marks of packets: of what relays send to guests, which connections keep (native/port-forward/forward.h has the same), and of what guests answer to them. */
export const relayMark = 0x10;
export const answerMark = 0x20;
/** The table of routes for those answers: their clients' addresses are taken for the namespace's own. */
export const answerRoutes = 100;

/** The two ends of what joins a bridged network to the host's interface. */
export const bridgeUplinkInside = (network: string): string => `j-${hashOf(network).slice(0, 8)}`;
export const bridgeUplinkOutside = (stateDirectory: string, network: string): string =>
  `vj${hashOf(`${stateDirectory}\0${network}`).slice(0, 8)}`;
/** The host's bridge around an interface that is none itself. */
export const hostBridge = (stateDirectory: string, network: string): string => `vb${hashOf(`${stateDirectory}\0${network}`).slice(0, 8)}`;

/** A bridge keeps its address, whichever taps come and go: guests remember their gateway by it. */
export function bridgeMac(stateDirectory: string, network: string): string {
  const hash = hashOf(`${stateDirectory}\0${network}`);
  return ['06', ...[0, 2, 4, 6, 8].map((at) => hash.slice(at, at + 2))].join(':');
}
