// Names and leases with a real dnsmasq and a DHCP client: those of a removed VM are gone at once, and the next VM with its address inherits neither.
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { defaultNicRules } from '../../../src/contract/nic-spec.ts';
import { Dnsmasqs } from '../../../src/network/dns/dnsmasq.ts';
import { dnsFilesFor } from '../../../src/network/dns/dnsmasq-config.ts';
import { defaultSettings, type NetworkSpec, type PortSpec } from '../../../src/network/model.ts';
import { eventually } from '../../eventually.ts';
import { noWorld } from '../world.ts';

const skip = noWorld;
const client = fileURLToPath(new URL('./dhcp-client.mjs', import.meta.url));
const { signal } = new AbortController();
const network: NetworkSpec = {
  ...{ name: 'lab', kind: 'nat', bridge: 'br-lab', mac: '', ipv4: '10.1.2.1/24', ipv6: null, interface: null },
  ...defaultSettings,
};
let folder: string;
let holders: ChildProcess[] = [];
let dnsmasqs: Dnsmasqs;

const enter = (nth: number) => ['nsenter', `--net=/proc/${holders[nth]?.pid}/ns/net`, '--'];
const run = (nth: number, ...words: string[]): string => {
  const [program = '', ...args] = [...enter(nth), ...words];
  return execFileSync(program, args, { encoding: 'utf8', timeout: 30_000 });
};

before(async () => {
  if (skip) return;
  folder = await mkdtemp(join(tmpdir(), 'viv-dns-'));
  await chmod(folder, 0o711);
  holders = await Promise.all(
    [0, 1].map(async () => {
      const child = spawn('unshare', ['--net', 'sh', '-c', 'echo ready; exec cat >/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
      await once(child.stdout, 'data');
      return child;
    }),
  );
  const setUp = `link add name br-lab type bridge forward_delay 0
address add 10.1.2.1/24 dev br-lab
link set dev br-lab up
link set dev lo up
link add name port type veth peer name eth0 netns ${holders[1]?.pid}
link set dev port master br-lab up`;
  run(0, 'sh', '-c', `printf '${setUp}\n' | ip -batch -`);
  run(1, 'ip', 'link', 'set', 'dev', 'eth0', 'up');
  run(1, 'ip', 'route', 'add', 'default', 'dev', 'eth0');
  dnsmasqs = new Dnsmasqs(join(folder, 'dns'), 'dnsmasq');
});

after(async () => {
  if (skip) return;
  await dnsmasqs.end();
  for (const holder of holders) holder.kill('SIGKILL');
  await rm(folder, { recursive: true });
});

const port = (vm: string, mac: string, ipv4: string): PortSpec => ({
  ...{ tap: `t${vm}`, owner: vm, network: 'lab', vm, mac, ipv4, ipv6: null, up: true, vlan: null, attached: true, pid: null },
  rules: defaultNicRules,
});
const serve = (ports: readonly PortSpec[]): Promise<void> => {
  const desired = { networks: [network], ports, groups: [], forwards: [] };
  const model = { tracking: 'bridge', uplink: null, networks: [], ports: [], groups: [], hostAccess: [] } as const;
  const files = dnsFilesFor(desired, model, { folderOf: (name) => dnsmasqs.folderOf(name), servers: [], user: ['nobody', 'nogroup'] });
  return dnsmasqs.apply(files, enter(0), signal);
};
const lease = (mac: string, hostname: string) => run(1, process.execPath, client, mac, hostname).trim();
const resolve = (name: string) => run(0, 'dig', '+short', '+tries=1', '+time=2', '@10.1.2.1', name).trim();
const processId = () => run(0, 'cat', join(folder, 'dns/lab/pid')).trim();

test('the names of a removed VM are gone within a second, and its address is free for the next one, which does not get its name', {
  skip,
}, async () => {
  const web = port('web', '52:54:00:00:00:01', '10.1.2.9');
  const other = port('other', '52:54:00:00:00:02', '10.1.2.10');
  await serve([web, other]);
  assert.equal(lease(web.mac, 'web'), '10.1.2.9');
  assert.equal(lease(other.mac, 'ghost'), '10.1.2.10');
  assert.deepEqual(['web', 'web.lab.viv', 'other'].map(resolve), ['10.1.2.9', '10.1.2.9', '10.1.2.10']);
  assert.deepEqual(['ghost', 'ghost.lab.viv'].map(resolve), ['', ''], 'a guest does not choose its name in the network');
  const before = processId();
  await serve([other]);
  const removedAt = performance.now();
  await eventually('its names are gone', () => assert.deepEqual(['web', 'web.lab.viv'].map(resolve), ['', '']));
  assert.ok(performance.now() - removedAt < 1000, 'within a second');
  assert.equal(processId(), before, 'nobody else’s answers are interrupted');
  const next = port('next', '52:54:00:00:00:03', '10.1.2.9');
  await serve([other, next]);
  assert.equal(lease(next.mac, 'next'), '10.1.2.9');
  assert.deepEqual(['next', 'web', 'web.lab.viv'].map(resolve), ['10.1.2.9', '', '']);
  assert.equal(run(0, 'dig', '+short', '+tries=1', '+time=2', '@10.1.2.1', '-x', '10.1.2.9').trim(), 'next.lab.viv.');
});
