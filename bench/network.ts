// 200 networks and 1,000 NICs: planned and created in the kernel (bridges, taps, rules, a dnsmasq each), reconciled again when all
// of it is right, changed by one NIC, and removed. In a namespace of its own, without guests: run as root.
//   unshare --net node bench/network.ts [NETWORKS] [CARDS]
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultNicRules } from '../src/contract/nic-spec.ts';
import { emptyState } from '../src/network/kernel/actual-state.ts';
import { bridgeMac, bridgeOf } from '../src/network/kernel/interface-names.ts';
import { plan } from '../src/network/kernel/plan.ts';
import { NetworkReconciler } from '../src/network/kernel/reconciler.ts';
import { type Desired, defaultSettings, type NetworkSpec, type PortSpec } from '../src/network/model.ts';

const [networkCount = 200, portCount = 1000] = process.argv.slice(2).map(Number);
const stateDirectory = await mkdtemp(join(tmpdir(), 'viv-bench-'));
const letters = 'abcdefghjk';
const idOf = (nth: number) => `m${String(nth).padStart(11, '0')}`.replace(/\d/g, (digit) => letters[Number(digit)] ?? 'a');

// Addresses as the kernel writes them: what it wrote otherwise would be taken for another one, and mended at each look.
const networks = Array.from({ length: networkCount }, (_, nth): NetworkSpec => {
  const name = `net${nth}`;
  return {
    name,
    kind: nth % 2 === 0 ? 'nat' : 'isolated',
    bridge: bridgeOf(name),
    mac: bridgeMac(stateDirectory, name),
    ipv4: `10.${100 + (nth >> 8)}.${nth & 255}.1/24`,
    ipv6: `fd00:1:1:${(nth + 1).toString(16)}::1/64`,
    interface: null,
    ...defaultSettings,
  };
});
const port = (nth: number): PortSpec => {
  const at = nth % networkCount;
  const host = 2 + Math.floor(nth / networkCount);
  const mac = `52:54:00:00:${(nth >> 8).toString(16).padStart(2, '0')}:${(nth & 255).toString(16).padStart(2, '0')}`;
  return {
    tap: `t${idOf(nth)}0`,
    owner: idOf(nth),
    network: `net${at}`,
    vm: `machine-${nth}`,
    mac,
    ipv4: `10.${100 + (at >> 8)}.${at & 255}.${host}`,
    ipv6: `fd00:1:1:${(at + 1).toString(16)}::${host}`,
    up: true,
    vlan: null,
    attached: true,
    pid: null,
    rules: defaultNicRules,
  };
};
const ports = Array.from({ length: portCount }, (_, nth) => port(nth));
let desired: Desired = { networks, ports, groups: [], forwards: [] };
const here = new NetworkReconciler({
  stateDirectory,
  folder: join(stateDirectory, 'run'),
  env: process.env,
  log: (error) => console.error(error),
  desired: () => desired,
  onProblem: () => {},
  hostNames: null,
});

async function timed(what: string, act: () => unknown, times = 1): Promise<void> {
  const took: number[] = [];
  for (let time = 0; time < times; time++) {
    const begun = performance.now();
    await act();
    took.push(performance.now() - begun);
  }
  const median = took.sort((one, other) => one - other)[times >> 1] ?? 0;
  console.log(`${what.padEnd(60)} ${median.toFixed(0).padStart(7)} ms`);
}

try {
  await here.capability();
  await timed(`${networkCount} networks, ${portCount} NICs: planned`, () => plan(desired, emptyState));
  await timed('planned and applied', () => here.apply());
  const look = () => {
    here.invalidate();
    return here.apply();
  };
  await timed('looked at again, all is right, median of 11', look, 11);
  desired = { ...desired, ports: [...ports, port(portCount)] };
  await timed('one more NIC', () => here.apply());
  desired = { networks: [], ports: [], groups: [], forwards: [] };
} finally {
  await timed('removed', () => here.end());
  await rm(stateDirectory, { recursive: true, force: true });
}
