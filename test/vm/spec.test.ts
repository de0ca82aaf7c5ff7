import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GiB, MiB } from '../../src/contract/field.ts';
import { VmOptions } from '../../src/contract/vm-options.ts';
import { idWithOwnMacs, macOf } from '../../src/vm/device/nics.ts';
import { isUnfinishedEnd } from '../../src/vm/lifecycle/supervisor.ts';
import type { VmRecord } from '../../src/vm/record.ts';
import { checkSettings } from '../../src/vm/resource/check.ts';
import { type ImageFacts, newRecord, qemuConfig, startMachineType, withCdroms } from '../../src/vm/spec.ts';
import { pending } from '../../src/vm/vm.ts';
import { pathsOf } from '../paths-of.ts';

type Started = NonNullable<VmRecord['started']>;

const paths = pathsOf({ VIV_HOME: '/v' }, 0).vm('a1');
const identity = { id: 'a1', name: 'web', uuid: '4b7a1c58-5f0c-4a42-9a3c-1d5f5d2a0b11', uid: null, createdAt: 1 };
const image: ImageFacts = {
  digest: 'd1',
  names: ['debian:12'],
  kind: 'disk',
  arch: 'x86_64',
  virtualBytes: 2 * GiB,
  diskFile: '/images/d1/disk.qcow2',
  isoFile: null,
  kernelFiles: null,
  minMemoryBytes: null,
  firmware: null,
  ready: [],
  defaults: { memoryBytes: 512 * MiB, firmware: 'bios', cloudInit: true },
};
const iso: ImageFacts = {
  ...image,
  digest: 'd2',
  kind: 'iso',
  diskFile: null,
  isoFile: '/images/d2/cd.iso',
  defaults: { ...image.defaults, cloudInit: false },
};
const make = (options: object, from = image, cds: { name: string; image: ImageFacts }[] = []) =>
  newRecord(VmOptions.parse({ image: 'debian:12', ...options }), 'debian:12', from, cds, identity, paths);
/** What a VM was started with, before what is said here. */
const startedWith = ({ settings }: VmRecord, more: Partial<Started> = {}): Started => ({
  ...settings,
  ...{ accelInUse: 'tcg', machineType: 'pc-q35-9.2', announces: false, queueReset: false, cdroms: [], slots: 0, balloon: true },
  ...more,
});
const host = {
  marker: 'viv-x-a1',
  machineType: 'pc-q35-10.0',
  accel: 'tcg',
  firmwareCode: null,
  memory: 'layers',
  tpmFd: null,
  incoming: false,
} as const;

test('what is left out comes from the image', () => {
  const { settings, disks } = make({});
  assert.equal(settings.memoryBytes, 512 * MiB);
  assert.deepEqual(
    disks.map(({ id, sizeBytes, backing }) => ({ id, sizeBytes, backing })),
    [
      { id: 'root', sizeBytes: 2 * GiB, backing: '/images/d1/disk.qcow2' },
      { id: 'seed', sizeBytes: 0, backing: null },
    ],
  );
});

test('a disk smaller than the image is refused with both sizes', () => {
  assert.throws(() => make({ diskBytes: GiB }), /1024 MiB is too small for debian:12, which needs 2048 MiB/);
});

test('an image that boots with one firmware is refused the other, and takes it where nothing is known', () => {
  const bios = { ...image, firmware: 'bios' } as const;
  assert.throws(() => make({ firmware: 'uefi' }, bios), /debian:12 does not boot with uefi. Use --firmware bios/);
  assert.equal(make({ firmware: 'uefi' }).settings.firmware, 'uefi');
  assert.equal(make({ firmware: 'uefi' }, { ...image, firmware: 'both' }).settings.firmware, 'uefi');
  const uefi: ImageFacts = { ...image, firmware: 'uefi', defaults: { ...image.defaults, firmware: 'uefi' } };
  assert.equal(make({}, uefi).settings.firmware, 'uefi');
  assert.throws(() => make({ firmware: 'bios' }, uefi), /does not boot with bios/);
});

test('less memory than the image boots with is refused with the minimum', () => {
  const check = (memoryBytes: number) => checkSettings(make({ name: 'web', memoryBytes }, { ...image, minMemoryBytes: 80 * MiB }), [0]);
  assert.throws(() => check(64 * MiB), /debian:12 does not boot with 64 MiB of memory. Give it at least 80 MiB/);
  check(80 * MiB);
});

test('what is no ISO image does not go into a CD drive, and user data needs cloud-init', () => {
  assert.throws(() => make({}, image, [{ name: 'debian:12', image }]), /not an ISO image/);
  assert.throws(() => make({ userData: '#cloud-config', diskBytes: GiB }, iso), /has no cloud-init/);
});

test('the boot order numbers disks and CDs, and leaves out what is not in it', () => {
  const record = make({ diskBytes: 20 * GiB, boot: ['cdrom', 'disk'] }, iso, [{ name: 'extra', image: iso }]);
  const config = qemuConfig(record, paths, host);
  assert.deepEqual(
    config.disks.map(({ id, bootIndex }) => [id, bootIndex]),
    [
      ['root', 10],
      ['cd0', 0],
      ['cd1', 1],
    ],
  );
  assert.deepEqual(
    config.nics.map(({ bootIndex }) => bootIndex),
    [null],
  );
});

test('a suspended VM resumes with its old settings, and changed ones are pending', () => {
  const started = startedWith(make({}));
  const record: VmRecord = { ...make({ cpus: 4, memoryBytes: GiB }), state: 'suspended', started };
  const config = qemuConfig(record, paths, host);
  assert.equal(config.cpus, 1);
  assert.equal(startMachineType(record, [10, 0]), 'pc-q35-9.2', 'the board of the QEMU it went to sleep under');
  assert.equal(startMachineType({ ...record, state: 'stopped' }, [10, 0]), 'pc-q35-10.0');
  assert.equal(config.memoryBytes, 512 * MiB);
  assert.deepEqual(pending(record), ['cpus', 'memoryBytes']);
});

test('the NIC features that a guest negotiated persist while it is suspended, and a new start offers those of vhost-net', () => {
  const started = startedWith(make({}), { machineType: 'pc-q35-10.0', queueReset: true });
  const offers = (record: VmRecord) => qemuConfig(record, paths, host).nics.map(({ queueReset }) => queueReset);
  assert.deepEqual(offers({ ...make({}), state: 'suspended', started }), [true]);
  assert.deepEqual(offers({ ...make({}), state: 'stopped', started }), [false]);
});

test('MAC addresses are stable, local to QEMU’s prefix and differ by VM and NIC', () => {
  const macs = ['a1', 'a2'].flatMap((id) => [0, 1].map((nth) => macOf(id, nth)));
  assert.equal(new Set(macs).size, 4);
  assert.equal(macOf('a1', 0), macs[0]);
  for (const mac of macs) assert.match(mac, /^52:54:00(:[0-9a-f]{2}){3}$/);
});

test('a VM is not given an id whose NICs would have addresses that others have', () => {
  const ids = ['a1', 'a1', 'a2', 'a3'];
  const taken = new Set([macOf('a2', 1)]);
  const next = () => ids.shift() ?? 'a4';
  assert.deepEqual([idWithOwnMacs(taken, next), idWithOwnMacs(taken, next), idWithOwnMacs(taken, next)], ['a1', 'a3', 'a4']);
});

test('a suspended VM resumes with its CDs, each at its port, before the seed', () => {
  const record = make({}, image, [{ name: 'tools', image: iso }]);
  const started = startedWith(record, {
    cdroms: record.disks.filter(({ kind }) => kind === 'cdrom').map(({ file, digest }) => ({ file, digest })),
  });
  const changed = { ...record, disks: withCdroms(record.disks, []), started };
  const ids = (config: { disks: { id: string }[] }) => config.disks.map(({ id }) => id);
  assert.deepEqual(ids(qemuConfig(changed, paths, host)), ['root', 'seed'], 'a cold start has what was set');
  const resumedFromSuspend: VmRecord = { ...changed, state: 'suspended' };
  assert.deepEqual(qemuConfig(resumedFromSuspend, paths, host).disks, qemuConfig(record, paths, host).disks);
  assert.deepEqual(pending(resumedFromSuspend), ['cdroms']);
});

test('what was to follow an end is done by the next daemon: a removal, and a restart in the same boot of the host', () => {
  const base = make({});
  const started = startedWith(base);
  const ended = (settings: object, more: Partial<VmRecord> = {}): VmRecord => ({
    ...base,
    started,
    desired: 'running',
    bootId: 'b',
    stateReason: { code: 'guest_shutdown', message: 'the guest shut down', occurredAt: 1 },
    settings: { ...base.settings, ...settings },
    ...more,
  });
  assert.equal(isUnfinishedEnd(ended({}), 'b'), false);
  assert.equal(isUnfinishedEnd(ended({ removeOnStop: true }), 'other'), true);
  assert.equal(isUnfinishedEnd(ended({ removeOnStop: true }, { started: null }), 'b'), false, 'never started');
  assert.equal(isUnfinishedEnd(ended({ removeOnStop: true }, { state: 'suspended' }), 'b'), false);
  assert.equal(isUnfinishedEnd(ended({ restart: 'always' }), 'b'), true);
  assert.equal(isUnfinishedEnd(ended({ restart: 'always' }), 'other'), false, 'VMs that start with the host are started elsewhere');
  assert.equal(isUnfinishedEnd(ended({ restart: 'on-failure' }), 'b'), false);
  const failed = { code: 'qemu_exited', message: '', occurredAt: 1 } as const;
  assert.equal(isUnfinishedEnd(ended({ restart: 'on-failure' }, { state: 'broken', stateReason: failed }), 'b'), true);
  assert.equal(isUnfinishedEnd(ended({ restart: 'always' }, { desired: 'stopped' }), 'b'), false);
});
