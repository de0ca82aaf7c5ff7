// VLANs where a kernel has them: a Debian guest is the host, because 802.1Q is missing in many a kernel that tests run on. There the
// networks are brought about as the daemon does (vlan-host.ts), and frames counted at each VM's tap (vlan-guests.ts). Takes some two
// minutes under emulation. Needs a Debian mirror that the guest reaches; else all of it is skipped, visibly.
import assert from 'node:assert/strict';
import { copyFile, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { build } from 'esbuild';
import { GiB } from '../../src/contract/field.ts';
import { tapProgram } from '../../src/host/guest-asset.ts';
import type { Vm } from '../../src/sdk/index.ts';
import type { TestHost } from '../daemon/test-host.ts';
import { havePulled, longHost } from './long-host.ts';
import { whyNoMirror } from './mirror.ts';
import { tapFor, times } from './vlan-frames.ts';
import type { Heard } from './vlan-guests.ts';
import type { Report } from './vlan-host.ts';

const packages = ['nftables', 'dnsmasq-base', 'tcpdump'];

let host: TestHost;
let folder: string;
let debian: Vm;
/** Why it cannot be tried. */
let unreachable: string | null = null;
let asRoot: Report;
let asUser: Report;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'viv-vlan-'));
  host = await longHost();
  await havePulled(host, 'debian:12');
  debian = await host.client.run('debian:12', { name: 'host', cpus: 2, memoryBytes: GiB, diskBytes: 4 * GiB });
  unreachable = await whyNoMirror(debian);
  if (unreachable !== null) return;
  await sh('apt-get update -q');
  await sh(`DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends ${packages.join(' ')}`);
  await debian.copyTo(process.execPath, '/usr/local/bin/node');
  await debian.copyTo(await hostKit(), '/opt/vlan');
  // First, because root makes the kernel load what changes how connections are followed.
  asUser = await told('nobody', 'user');
  asRoot = await told('root');
});

after(async () => {
  await host?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function sh(script: string): Promise<string> {
  const { stdout, stderr, exitCode } = await debian.exec(['sh', '-c', script], { timeoutMs: 300_000 });
  assert.equal(exitCode, 0, `${script}: ${stdout.slice(-400)}${stderr.slice(-800)}`);
  return stdout.trim();
}

/** The scripts, each in one file, beside what opens taps as an installed package has it. */
async function hostKit(): Promise<string> {
  const kit = join(folder, 'kit');
  const entryPoints = ['vlan-host.ts', 'vlan-guests.ts'].map((name) => join(import.meta.dirname, name));
  await build({ entryPoints, outdir: kit, bundle: true, format: 'esm', platform: 'node', target: 'node24', external: ['koffi'] });
  await writeFile(join(kit, 'package.json'), '{"type":"module"}');
  // Programs are started through it; its own program is in a package of the architecture's.
  for (const name of ['koffi', '@koromix'])
    await cp(join(import.meta.dirname, '../../node_modules', name), join(kit, 'node_modules', name), {
      recursive: true,
      dereference: true,
    });
  const tap = await tapProgram();
  if (tap === null) throw new Error('vivarium-net-tap has not been built; build it with: native/build.sh');
  const place = join(kit, 'tap', basename(dirname(tap)));
  await mkdir(place, { recursive: true });
  await copyFile(tap, join(place, basename(tap)));
  return kit;
}

async function told(user: string, ...words: readonly string[]): Promise<Report> {
  const command = ['node', '/opt/vlan/vlan-host.js', ...words];
  const { stdout, stderr, exitCode } = await debian.exec(command, { user, cwd: '/', timeoutMs: 180_000 });
  assert.equal(exitCode, 0, stderr.slice(-2000));
  const report = JSON.parse(stdout) as Report;
  assert.deepEqual(report.problems, []);
  return report;
}

/** Each play, by when it was; none where there could be none. */
function plays(t: TestContext, reports: () => readonly Report[]): [when: string, heard: Heard][] {
  if (unreachable !== null) {
    t.skip(unreachable);
    return [];
  }
  return reports().flatMap(({ plays }, nth) =>
    Object.entries(plays).map(([when, { heard, missing }]): [string, Heard] => {
      const whose = `${nth === 0 ? 'as root' : 'as an ordinary user'}, ${when}`;
      assert.deepEqual(missing, [], whose);
      return [whose, heard];
    }),
  );
}

type Expected = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** @param expected for each kind of frame who has heard all of them, with which tag; all others have heard none */
function everywhere(t: TestContext, expected: Expected, reports = () => [asRoot, asUser]): void {
  for (const [when, heard] of plays(t, reports))
    for (const [label, by] of Object.entries(expected)) {
      const counts = Object.fromEntries(Object.entries(by).map(([vm, tags]) => [vm, { [tags]: times }]));
      assert.deepEqual(heard[label] ?? {}, counts, `${label}, ${when}`);
    }
}

test('a kernel whose bridges tell VLANs apart is found to be one', (t) => {
  if (unreachable !== null) return t.skip(unreachable);
  assert.deepEqual([asRoot.vlans, asUser.vlans], [true, true], asRoot.kernel);
  assert.deepEqual([asRoot.tracking, asUser.tracking], [['bridge', 'br_netfilter'], ['bridge']]);
});

test('NICs in a VLAN hear each other and no one else hears them, but for trunks, which see the tag', (t) => {
  everywhere(t, {
    'a5, no tag': { b5: 'none', mixed: 'none', trunk: '5' },
    'a6, no tag': { b6: 'none', mixed: '6', trunk: '6' },
    'plain, no tag': { other: 'none' },
    // One who knows another's MAC does not reach it for that.
    'a5, to a6 alone': { b5: 'none', mixed: 'none', trunk: '5' },
  });
});

test('a trunk reaches its VLANs by their tags, and nobody with other tags or with none', (t) => {
  everywhere(t, {
    'trunk, tag 5': { a5: 'none', b5: 'none', mixed: 'none' },
    'trunk, tag 6': { a6: 'none', b6: 'none', mixed: '6' },
    'trunk, tag 7': {},
    'trunk, tag 1': {},
    'trunk, no tag': {},
  });
});

test('a trunk with a VLAN of its own is in that without a tag', (t) => {
  everywhere(t, {
    'mixed, no tag': { a5: 'none', b5: 'none', trunk: '5' },
    'mixed, tag 5': { a5: 'none', b5: 'none', trunk: '5' },
    'mixed, tag 6': { a6: 'none', b6: 'none', trunk: '6' },
    'mixed, tag 7': {},
  });
});

test('a NIC that is no trunk sends no tags, not even its own or two at once', (t) => {
  const labels = [...['0', '1', '5', '6', '5/6'].map((tags) => `a5, tag ${tags}`), 'plain, tag 1', 'plain, tag 5'];
  everywhere(t, Object.fromEntries(labels.map((label) => [label, {}])));
});

test('forged senders get no further in a VLAN than elsewhere', (t) => {
  const labels = ['a5, forged MAC', 'a5, forged address', 'a5, address of the gateway', 'trunk, forged MAC', 'mixed, forged address'];
  everywhere(t, Object.fromEntries(labels.map((label) => [label, {}])));
});

test('gateway, DHCP, DNS and router advertisements of the network are for NICs in no VLAN', (t) => {
  for (const [when, heard] of plays(t, () => [asRoot, asUser])) {
    const by = (label: string) => Object.keys(heard[label] ?? {}).sort();
    assert.deepEqual(by('ARP answer of 10.77.0.1'), ['plain'], when);
    assert.deepEqual(by('DNS answer of 10.77.0.1: 10.77.0.17'), ['plain'], when);
    // To everyone, and to all who listen, in the first VLAN.
    assert.deepEqual(by('DHCP answer of 10.77.0.1'), ['other', 'plain'], when);
    assert.ok(
      by('router advertisement').every((vm) => vm === 'plain' || vm === 'other'),
      when,
    );
    assert.ok(by('router advertisement').includes('plain'), when);
  }
});

test('a bridged network takes VLANs out to the host’s interface and in from there', (t) => {
  everywhere(t, { 'out5, no tag': {}, 'out, no tag': {}, 'out5, tag 5': {} }, () => [asRoot]);
  for (const [when, heard] of plays(t, () => [asRoot])) {
    // An answer of the kernel's own 802.1Q, beyond the interface.
    assert.deepEqual(heard['ARP answer of 10.77.5.1'], { out5: { none: 1 } }, when);
    assert.deepEqual(heard['ARP answer of 10.77.1.1'], { out: { none: 1 } }, when);
  }
});

test('frames on the wire have their tags, as tcpdump sees them', (t) => {
  if (unreachable !== null) return t.skip(unreachable);
  const seen = (place: 'trunk' | 'street') => Object.entries(asRoot.wire[place]).map(([words, count]) => `${count} ${words}`);
  const to = 'ff:ff:ff:ff:ff:ff, ethertype';
  assert.deepEqual(seen('trunk').sort(), [
    `${times} 52:54:00:00:00:10 > ${to} 802.1Q (0x8100): vlan 5, p 0, ethertype IPv4 (0x0800), 10.77.0.10.4000 > 10.77.0.255.4000`,
    `${times} 52:54:00:00:00:12 > ${to} 802.1Q (0x8100): vlan 6, p 0, ethertype IPv4 (0x0800), 10.77.0.12.4000 > 10.77.0.255.4000`,
  ]);
  assert.deepEqual(seen('street').sort(), [
    `${times} 52:54:00:00:00:20 > ${to} 802.1Q (0x8100): vlan 5, p 0, ethertype IPv4 (0x0800), 10.77.1.20.4000 > 10.77.1.255.4000`,
    `${times} 52:54:00:00:00:21 > ${to} IPv4 (0x0800): 10.77.1.21.4000 > 10.77.1.255.4000`,
  ]);
});

test('a daemon that returns touches nothing that is right, and of what somebody changed only that', (t) => {
  if (unreachable !== null) return t.skip(unreachable);
  for (const { touched } of [asRoot, asUser]) {
    assert.deepEqual(touched.right, []);
    const changed = ['a5', 'a6', 'trunk'].map(tapFor);
    assert.deepEqual(touched.wrong.filter((name) => name.startsWith('t')).sort(), changed.sort());
  }
});

test('vhost-net is found, and handed on with a tap', (t) => {
  if (unreachable !== null) return t.skip(unreachable);
  assert.deepEqual([asRoot.vhost, asRoot.opened], [true, ['/dev/net/tun', '/dev/vhost-net']]);
  assert.equal(asUser.vhost, false, 'Debian keeps it for root and the group kvm');
});
