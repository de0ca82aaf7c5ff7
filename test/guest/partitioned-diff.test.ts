// The files of disks with partitions, GPT and MBR with a logical one, of FAT, XFS and btrfs, of LVM and software RAID: which differ is told by
// partition, volume or array.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Vm } from '../../src/sdk/index.ts';
import { type TestHost, testHost } from '../daemon/test-host.ts';
import { changeInGuest } from './disk-in-guest.ts';
import {
  changeExt4,
  copyToFat,
  makeBtrfs,
  makeExt4,
  makeFat,
  makeXfs,
  type Partition,
  removeFromFat,
  writeGpt,
  writeMbr,
} from './partitioned-disk.ts';

const MiB = 2 ** 20;
const diskBytes = 64 * MiB;
let host: TestHost;
let files = '';
let writer: Vm | undefined;

before(async () => {
  host = await testHost({ qemu: 'real' });
  await host.start();
  files = join(host.stateDirectory, 'files');
  await mkdir(files);
  for (const name of ['stays', 'goes', 'changes']) await writeFile(join(files, name), `${name}\n`);
});

after(() => host[Symbol.asyncDispose]());

const part = (number: number, startMiB: number, MiBs: number): Partition => ({ number, startBytes: startMiB * MiB, bytes: MiBs * MiB });

async function fillFat(raw: string, partition: Partition): Promise<void> {
  await makeFat(raw, partition);
  for (const name of ['stays', 'goes', 'changes']) copyToFat(raw, partition, join(files, name), name);
}

async function changeFat(raw: string, partition: Partition): Promise<void> {
  removeFromFat(raw, partition, 'goes');
  await writeFile(join(host.stateDirectory, 'other'), 'something else\n');
  copyToFat(raw, partition, join(host.stateDirectory, 'other'), 'changes');
  copyToFat(raw, partition, join(host.stateDirectory, 'other'), 'Größe und mehr.txt');
}

async function changeExt(raw: string, partition: Partition): Promise<void> {
  await writeFile(join(host.stateDirectory, 'longer'), 'x'.repeat(5000));
  changeExt4(raw, partition, ['rm /goes', 'rm /changes', `write ${join(host.stateDirectory, 'longer')} changes`, 'mkdir /fresh']);
}

/** A stopped VM of that disk, with the snapshot `before`; its disk has become what `change` makes of it. */
async function changed(name: string, raw: string, change: (raw: string) => Promise<void>): Promise<Vm> {
  await host.client.image.import({ path: raw, name: `${name}:1`, format: 'raw' });
  const { id } = await host.client.vm.create({ image: `${name}:1`, name, networks: ['none'] });
  const vm = await host.client.vm(name);
  await vm.snapshot('before');
  const other = `${raw}.changed`;
  await copyFile(raw, other);
  await change(other);
  const folder = host.paths.vm(id).state;
  const [top = ''] = (await readdir(folder)).filter((file) => /^root-.*\.qcow2$/.test(file));
  execFileSync('qemu-img', ['convert', '-n', '-f', 'raw', '-O', 'qcow2', other, join(folder, top)]);
  for (const file of [raw, other]) await rm(file);
  return vm;
}

async function told(vm: Vm): Promise<string[]> {
  const { files: found, filesReason, disks } = await vm.diff('before', 'now');
  assert.ok((disks[0]?.changedBytes ?? 0) > 0);
  assert.equal(filesReason, null);
  return (found?.list ?? []).map(({ on, path, change, kind, bytes }) => [on, path, change, kind, bytes].join(' ')).sort();
}

const inFat = (on: string) => [`${on} /Größe und mehr.txt added file 15`, `${on} /changes changed file 15`, `${on} /goes removed file 5`];
const inExt = (on: string) => [`${on} /changes changed file 5000`, `${on} /fresh added directory`, `${on} /goes removed file 5`];
/** How large a directory is depends on the file system. */
const sized = (lines: readonly string[]) => lines.map((line) => line.replace(/ directory \d+$/, ' directory'));

test('GPT: what differs on a FAT and on an ext4 partition', async () => {
  const [esp, hidden, root] = [part(1, 1, 20), part(2, 22, 4), part(15, 28, 30)];
  const raw = join(host.stateDirectory, 'gpt.raw');
  await writeGpt(raw, diskBytes, [esp, hidden, root]);
  await fillFat(raw, esp);
  makeExt4(raw, root, files);
  const vm = await changed('gpt', raw, async (other) => {
    await changeFat(other, esp);
    await changeExt(other, root);
  });
  assert.deepEqual(sized(await told(vm)), [...inFat('root1'), ...inExt('root15')].sort());
});

test('MBR: a primary FAT partition and a logical ext4 one', async () => {
  const [fat, logical] = [part(1, 1, 20), part(5, 24, 30)];
  const raw = join(host.stateDirectory, 'mbr.raw');
  await writeMbr(raw, diskBytes, [fat, logical]);
  await fillFat(raw, fat);
  makeExt4(raw, logical, files);
  const vm = await changed('mbr', raw, async (other) => {
    await changeFat(other, fat);
    await changeExt(other, logical);
  });
  assert.deepEqual(sized(await told(vm)), [...inFat('root1'), ...inExt('root5')].sort());
});

const aWriter = async () => (writer ??= await host.client.run('tiny', { name: 'writer', networks: ['default'] }));

test('LVM: a volume of a group on two partitions, beside a plain partition', async () => {
  const [fat, first, second] = [part(1, 1, 20), part(2, 24, 40), part(3, 68, 40)];
  const volume: Partition = { number: 2, startBytes: first.startBytes + MiB, bytes: 36 * MiB }; // nine extents, after the label
  const raw = join(host.stateDirectory, 'lvm.raw');
  await writeGpt(raw, 112 * MiB, [fat, first, second]);
  await fillFat(raw, fat);
  makeExt4(raw, volume, files);
  const script = [
    'export DM_DISABLE_UDEV=1; modprobe dm_mod',
    'lvm vgcreate my-group "$disk"2 "$disk"3',
    'lvm lvcreate -y -Zn -Wn -l 9 -n root my-group "$disk"2', // what has been made there stays
    'lvm lvcreate -y -l 2 -n empty my-group',
    'lvm vgchange -an',
  ];
  await changeInGuest(host, await aWriter(), raw, script.join('; '));
  const vm = await changed('lvm', raw, async (other) => {
    await changeFat(other, fat);
    await changeExt(other, volume);
  });
  assert.deepEqual(sized(await told(vm)), [...inFat('root1'), ...inExt('my-group/root')].sort());
});

test('software RAID of two levels, one with a volume group on it, and a mirror that LVM keeps itself', async () => {
  const MiBs = [24, 16, 16, 16, 48, 48, 44, 44];
  const partitions = MiBs.map((size, nth) =>
    part(
      nth + 1,
      MiBs.slice(0, nth).reduce((sum, one) => sum + one, 1),
      size,
    ),
  );
  const [plain] = partitions as [Partition];
  const raw = join(host.stateDirectory, 'raid.raw');
  await writeGpt(raw, 260 * MiB, partitions);
  makeExt4(raw, plain, files);
  const dm = 'export DM_DISABLE_UDEV=1 MDADM_NO_UDEV=1; modprobe -a dm_mod raid456 raid1';
  const open = [
    dm,
    'mdadm --assemble --run /dev/md5 "$disk"2 "$disk"3 "$disk"4 2>/dev/null',
    'mdadm --assemble --run /dev/md1 "$disk"5 "$disk"6 2>/dev/null',
    'lvm vgchange -ay --devices /dev/md1 --devices "$disk"7 --devices "$disk"8',
  ];
  const close = ['lvm vgchange -an --devices /dev/md1 --devices "$disk"7 --devices "$disk"8', 'mdadm --stop /dev/md5 /dev/md1'];
  const make = [
    dm,
    'mdadm --create /dev/md5 --run --level=5 --raid-devices=3 --homehost=web --name=data "$disk"2 "$disk"3 "$disk"4',
    // Its record is at the end of its parts, which begin as the array does.
    'mdadm --create /dev/md1 --run --level=1 --raid-devices=2 --metadata=1.0 --name=1 --assume-clean "$disk"5 "$disk"6',
    'lvm vgcreate on-raid /dev/md1 --devices /dev/md1',
    'lvm lvcreate -y -Zn -Wn -L 24M -n root on-raid --devices /dev/md1',
    'lvm vgcreate mirror "$disk"7 "$disk"8 --devices "$disk"7 --devices "$disk"8',
    'lvm lvcreate -y -Zn -Wn --type raid1 -m 1 -L 24M -n both mirror --devices "$disk"7 --devices "$disk"8',
    'for to in /dev/md5 /dev/on-raid/root /dev/mirror/both; do dd if="$disk"1 of=$to bs=1M; done',
  ];
  await changeInGuest(host, await aWriter(), raw, [...make, ...close].join('; '));
  const change = (device: string) => [
    `mount -t ext4 ${device} /mnt`,
    'rm /mnt/goes; echo something else >/mnt/changes; mkdir /mnt/fresh',
    'umount /mnt',
  ];
  const vm = await changed('raid', raw, async (other) => {
    const script = [...open, ...['/dev/md5', '/dev/on-raid/root', '/dev/mirror/both'].flatMap(change), ...close];
    await changeInGuest(host, await aWriter(), other, script.join('; '));
  });
  const expected = ['md/data', 'on-raid/root', 'mirror/both'].flatMap((on) => [
    `${on} /changes changed file 15`,
    `${on} /fresh added directory`,
    `${on} /goes removed file 5`,
  ]);
  assert.deepEqual(sized(await told(vm)), expected.sort());
});

/** What they have in common: made outside, written by a guest's kernel. */
for (const { type, make, mount } of [
  { type: 'xfs', make: makeXfs, mount: 'modprobe xfs; mount -t xfs' },
  { type: 'btrfs', make: makeBtrfs, mount: 'modprobe btrfs; mount -t btrfs' },
])
  test(`${type}: what differs, and nothing where nothing does`, async () => {
    const raw = join(host.stateDirectory, `${type}.raw`);
    const there = part(2, 4, 380);
    await writeGpt(raw, 400 * MiB, [there]);
    make(raw, there);
    await changeInGuest(
      host,
      await aWriter(),
      raw,
      `${mount} \${disk}2 /mnt; for name in stays goes changes; do echo $name >/mnt/$name; done; mkdir /mnt/deep; echo x >/mnt/deep/file; umount /mnt`,
    );
    const vm = await changed(type, raw, (other) =>
      changeInGuest(
        host,
        writer as Vm,
        other,
        `${mount} \${disk}2 /mnt; rm /mnt/goes; echo something else >/mnt/changes; mkdir /mnt/fresh; umount /mnt`,
      ),
    );
    assert.deepEqual(sized(await told(vm)), [
      'root2 /changes changed file 15',
      'root2 /fresh added directory',
      'root2 /goes removed file 5',
    ]);
    const back = await vm.diff('now', 'before');
    assert.equal(back.filesReason, null);
    assert.deepEqual(back.files?.list.map(({ path, change }) => `${path} ${change}`).sort(), [
      '/changes changed',
      '/fresh removed',
      '/goes added',
    ]);
  });
