// Snapshots: states of a VM that it can be restored to, and that new VMs can be forked from. They form a tree: restoring an older one
// makes it the parent of the next one, and none is lost.
import { z } from 'zod';
import { failures } from './errors.ts';
import { Bytes, Name, Ref, Text, Time } from './field.ts';
import { defineOperation } from './operation.ts';
import { Vm } from './vm-state.ts';

export const Label = Text.min(1)
  .max(100)
  .regex(/^[^\p{Cc}\p{Bidi_Control}]+$/u, 'a label has no control characters');

export const Snapshot = z.object({
  id: z.string().describe('Id of the snapshot'),
  vm: Name.describe('Name of the VM'),
  label: z.string().nullable().describe('Label given by its creator'),
  parent: z.string().nullable().describe('Id of the snapshot before it; null: the VM’s first'),
  createdAt: Time.describe('Time it was taken'),
  memory: z.boolean().describe('Whether it has the guest’s memory, and not its disks alone'),
  writing: z.boolean().describe('Whether its memory is still being written to disk'),
  memoryBytes: Bytes.describe('Bytes of its memory on disk'),
  diskBytes: Bytes.describe('Bytes of its disks beyond the snapshots and images they are backed by'),
  frozenFileSystems: z
    .array(z.string())
    .nullable()
    .describe('Mount points of the file systems that the guest had frozen for it; null: it was not quiesced'),
  pausedMs: z.number().describe('How long the guest was paused for it'),
  template: z.boolean().describe('Whether it is protected from removal without --force'),
  auto: z.string().nullable().describe('Rule that took it, which may remove it as well; null: taken by hand'),
  thumbnail: z
    .enum(['png', 'text'])
    .nullable()
    .describe('What snapshot.thumbnail returns: the screen, or the end of the serial log; null: nothing'),
  checkedAt: Time.nullable().describe('When the last of its large files was compared with its checksums; null: one of them never was'),
  damage: z.string().nullable().describe('Damage found in one of its files; it is neither restored nor forked then'),
  current: z.boolean().describe('Whether the VM continues from it'),
});
export type Snapshot = z.infer<typeof Snapshot>;

const vm = Ref.describe('Name or id of the VM');
const snapshot = Text.min(1).max(200).describe('Label or id of the snapshot');
const One = z.object({ vm, snapshot });

export const create = defineOperation({
  id: 'snapshot.create',
  method: 'POST',
  path: '/v1/vms/{vm}/snapshots',
  permission: 'snapshot.create',
  task: true,
  summary: 'Take a snapshot of a VM: memory, disks, firmware variables and TPM at one instant',
  input: z.object({
    vm,
    label: Label.optional().describe('Label of the snapshot (default: none, only its id)'),
    disksOnly: z.boolean().default(false).describe('Take the disks only: restored, the VM is stopped'),
    quiesce: z
      .boolean()
      .default(false)
      .describe('Have the guest agent flush and freeze the file systems meanwhile; fails where it can freeze none'),
    template: z.boolean().default(false).describe('Protect it from removal without --force'),
    auto: Label.optional().describe('Policy rule that takes it, and removes it when it no longer keeps it'),
  }),
  output: Snapshot,
  errors: [
    'corrupt',
    'invalid',
    ...failures.find,
    'name_taken',
    'wrong_state',
    'no_space',
    'qemu_failed',
    'no_agent',
    'guest_failed',
    'unsupported',
    'missing_program',
    'timeout',
  ],
  cli: {
    words: 'snapshot create',
    section: 'Snapshots and forks',
    prints: 'snapshot-name',
    args: ['vm', 'label?'],
    flags: { auto: false },
  },
});

export const list = defineOperation({
  id: 'snapshot.list',
  method: 'GET',
  path: '/v1/vms/{vm}/snapshots',
  permission: 'snapshot.read',
  summary: 'List the snapshots of a VM, oldest first',
  input: z.object({ vm }),
  output: z.array(Snapshot),
  errors: ['invalid', ...failures.find],
  cli: { words: 'snapshot ls', section: 'Snapshots and forks', prints: 'snapshot-table', args: ['vm'] },
});

export const show = defineOperation({
  id: 'snapshot.show',
  method: 'GET',
  path: '/v1/vms/{vm}/snapshots/{snapshot}',
  permission: 'snapshot.read',
  summary: 'Show a snapshot',
  input: One,
  output: Snapshot,
  errors: ['invalid', ...failures.find],
  cli: { words: 'snapshot show', section: 'Snapshots and forks', prints: 'snapshot-sheet', args: ['vm', 'snapshot'], custom: true },
});

export const DiskDifference = z.object({
  id: z.string().describe('Disk of the VM'),
  changedBytes: Bytes.describe('Bytes that differ, counted in blocks of 64 KiB'),
  ranges: z
    .array(z.object({ offset: Bytes.describe('Offset as the guest sees the disk'), length: Bytes.describe('Length in bytes') }))
    .describe('Ranges that differ, in order, at most 1000'),
  more: z.int().describe('Number of ranges not listed'),
});
export const FileDifference = z.object({
  added: z.int().describe('Number of files added'),
  removed: z.int().describe('Number of files removed'),
  changed: z.int().describe('Number of files changed'),
  list: z
    .array(
      z.object({
        on: z.string().describe('File system: the disk and the number of the partition, such as root1'),
        path: z.string().describe('Path in that file system; bytes that are not text are \\xNN, a backslash is doubled'),
        change: z.enum(['added', 'removed', 'changed']).describe('What happened to it'),
        kind: z.enum(['file', 'directory', 'link', 'other']).describe('What it is'),
        bytes: Bytes.describe('Its size'),
      }),
    )
    .describe('Files that differ'),
  more: z.int().describe('Number of files not listed'),
});
export type FileDifference = z.infer<typeof FileDifference>;

export const Difference = z.object({
  disks: z.array(DiskDifference).describe('Differences of each disk'),
  files: FileDifference.nullable().describe('Differences of files; null: not asked for, or not readable'),
  filesReason: z.string().nullable().describe('Why the files, or those of some file systems, could not be read'),
});
export type Difference = z.infer<typeof Difference>;

export const diff = defineOperation({
  id: 'snapshot.diff',
  method: 'POST',
  path: '/v1/vms/{vm}/snapshots/{snapshot}/diff',
  permission: 'snapshot.diff',
  task: true,
  summary: 'Compare two snapshots of a VM: which regions of its disks, and which files, differ',
  input: z.object({
    vm,
    snapshot,
    to: snapshot.describe('Label or id of the snapshot to compare with; now: the VM as it is'),
    files: z
      .boolean()
      .default(true)
      .describe(
        'Whether files are compared, read by a helper VM: ext2 to ext4, XFS, btrfs and FAT, in partitions, on LVM and on software RAID',
      ),
  }),
  output: Difference,
  errors: ['invalid', ...failures.find, 'wrong_state', ...failures.start, 'in_use', 'no_agent', 'guest_failed', 'too_large'],
  cli: {
    words: 'snapshot diff',
    section: 'Snapshots and forks',
    prints: 'difference',
    args: ['vm', 'snapshot', 'to'],
    without: { files: 'Compare the regions of the disks only' },
  },
});

export const thumbnail = defineOperation({
  id: 'snapshot.thumbnail',
  method: 'GET',
  path: '/v1/vms/{vm}/snapshots/{snapshot}/thumbnail',
  permission: 'snapshot.read',
  transport: 'download',
  summary: 'Save the thumbnail of a snapshot: its screen as PNG, or the end of its serial log',
  input: One,
  output: z.unknown(),
  errors: ['invalid', ...failures.find, 'corrupt'],
  cli: { words: 'snapshot thumbnail', section: 'Snapshots and forks', args: ['vm', 'snapshot'], custom: true },
});

export const restore = defineOperation({
  id: 'snapshot.restore',
  method: 'POST',
  path: '/v1/vms/{vm}/snapshots/{snapshot}/restore',
  permission: 'snapshot.restore',
  risk: 'loss',
  task: true,
  summary: 'Restore a VM to one of its snapshots; no snapshot is lost',
  input: One.extend({
    start: z.boolean().default(true).describe('Whether it continues immediately; without memory in the snapshot a VM that ran boots'),
  }),
  output: Vm,
  errors: [
    'invalid',
    ...failures.find,
    'wrong_state',
    'no_space',
    'no_memory',
    'qemu_failed',
    'corrupt',
    'unsupported',
    'missing_program',
    'no_accelerator',
    'timeout',
  ],
  cli: {
    words: 'snapshot restore',
    section: 'Snapshots and forks',
    args: ['vm', 'snapshot'],
    without: { start: 'Leave it suspended: viv start continues from the snapshot' },
    confirm: 'Restore {vm} to {snapshot}? What it has done since is lost',
  },
});

export const Verification = z.object({
  vm: Name.describe('Name of the VM'),
  snapshots: z.int().describe('Number of snapshots without damage'),
  files: z.int().describe('Number of files read and compared with their checksums; files that snapshots share count once'),
  checksummed: z.int().describe('Number of files without checksums until now, which get them'),
  bytes: Bytes.describe('Bytes read'),
});
export type Verification = z.infer<typeof Verification>;

export const verify = defineOperation({
  id: 'snapshot.verify',
  method: 'POST',
  path: '/v1/vms/{vm}/snapshots/verify',
  permission: 'snapshot.verify',
  task: true,
  summary: 'Read all files of the snapshots of a VM and compare them with their checksums',
  input: z.object({ vm, snapshot: snapshot.optional().describe('Label or id of the snapshot (default: all)') }),
  output: Verification,
  errors: ['invalid', ...failures.find, 'corrupt', 'wrong_state', 'no_space'],
  cli: { words: 'snapshot verify', section: 'Snapshots and forks', prints: 'verification', args: ['vm', 'snapshot?'] },
});

export const remove = defineOperation({
  id: 'snapshot.remove',
  method: 'DELETE',
  path: '/v1/vms/{vm}/snapshots/{snapshot}',
  permission: 'snapshot.remove',
  risk: 'loss',
  worksWhenDiskFull: true,
  task: true,
  summary: 'Remove a snapshot; VMs and snapshots that depend on it keep working',
  input: One.extend({ force: z.boolean().default(false).describe('Remove it even if it is a template or its record cannot be read') }),
  output: z.object({ id: z.string().describe('Id it had') }),
  errors: ['invalid', ...failures.find, 'in_use'],
  cli: {
    words: 'snapshot rm',
    section: 'Snapshots and forks',
    args: ['vm', 'snapshot'],
    short: { force: 'f' },
    confirm: 'Remove snapshot {snapshot} of {vm}?',
  },
});
