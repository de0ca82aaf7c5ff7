// Snapshots: snapshots in a VM's life that it can be restored to, and that new VMs can be forked from. Snapshots form a
// tree: setting a VM back to an older one makes that the parent of its next one, and nothing is lost.
import { z } from 'zod';
import { failures } from './errors.ts';
import { Bytes, Name, Ref, Text, Time } from './field.ts';
import { defineOperation } from './operation.ts';
import { Vm } from './vm-state.ts';

export const Label = Text.min(1)
  .max(100)
  .regex(/^[^\p{Cc}]+$/u, 'a label has no control characters');

export const Snapshot = z.object({
  id: z.string(),
  vm: Name,
  label: z.string().nullable(),
  /** Id of the snapshot before it; null: the VM's first. */
  parent: z.string().nullable(),
  createdAt: Time,
  /** True when it has the memory of the running guest; false: its disks alone. */
  memory: z.boolean(),
  /** True while its memory is still being written to disk. */
  writing: z.boolean(),
  /** What its memory takes on disk. */
  memoryBytes: Bytes,
  /** What its disks take, beyond the snapshots and images below. */
  diskBytes: Bytes,
  /** How long the guest stood still for it. */
  pausedMs: z.number(),
  /** It is not removed without --force. */
  template: z.boolean(),
  /** The rule that made it (`hourly`, `before reset`), which may remove it too; null: somebody did. */
  auto: z.string().nullable(),
  /** What `snapshot.thumbnail` gives: the screen, or the end of the serial log; null: nothing. */
  thumbnail: z.enum(['png', 'text']).nullable(),
  /** When the last of its large files was compared with the checksums taken when it was written; null: one of them never was. */
  checkedAt: Time.nullable(),
  /** What is known to be wrong with one of its files; null: nothing. It is neither restored nor forked then. */
  damage: z.string().nullable(),
  /** The VM has gone on from here. */
  current: z.boolean(),
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
    label: Label.optional().describe('What you will call it'),
    disksOnly: z.boolean().default(false).describe('Without memory: restored, the VM boots'),
    quiesce: z.boolean().default(false).describe('Have the guest write out and freeze its file systems for the moment'),
    template: z.boolean().default(false).describe('Protect it from removal'),
    auto: Label.optional().describe('The rule that makes it: it goes when that rule keeps it no longer'),
  }),
  output: Snapshot,
  errors: [
    'invalid',
    'not_found',
    'ambiguous',
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
  summary: 'List a VM’s snapshots, oldest first',
  input: z.object({ vm }),
  output: z.array(Snapshot),
  errors: ['invalid', 'not_found', 'ambiguous'],
  cli: { words: 'snapshot ls', section: 'Snapshots and forks', prints: 'snapshot-table', args: ['vm'] },
});

export const show = defineOperation({
  id: 'snapshot.show',
  method: 'GET',
  path: '/v1/vms/{vm}/snapshots/{snapshot}',
  permission: 'snapshot.read',
  summary: 'Show one snapshot',
  input: One,
  output: Snapshot,
  errors: ['invalid', 'not_found', 'ambiguous'],
  cli: { words: 'snapshot show', section: 'Snapshots and forks', prints: 'snapshot-sheet', args: ['vm', 'snapshot'], custom: true },
});

export const DiskDifference = z.object({
  /** The VM's disk. */
  id: z.string(),
  /** Counted in blocks of 64 KiB. */
  changedBytes: Bytes,
  /** Offsets as the guest sees the disk, in order, at most 1000. */
  ranges: z.array(z.object({ offset: Bytes, length: Bytes })),
  /** How many ranges are left out behind them. */
  more: z.int(),
});
export const FileDifference = z.object({
  added: z.int(),
  removed: z.int(),
  changed: z.int(),
  list: z.array(
    z.object({
      /** The file system: its disk, and the number of its partition where it has some (`root`, `root1`). */
      on: z.string(),
      /** From the root of its file system. Bytes that are no text are \\xNN, a backslash is doubled. */
      path: z.string(),
      change: z.enum(['added', 'removed', 'changed']),
      kind: z.enum(['file', 'directory', 'link', 'other']),
      bytes: Bytes,
    }),
  ),
  /** How many are left out of the list. */
  more: z.int(),
});
export type FileDifference = z.infer<typeof FileDifference>;

export const Difference = z.object({
  disks: z.array(DiskDifference),
  /** Null: they were not asked for, or could not be read. */
  files: FileDifference.nullable(),
  /** Why they, or those of some file systems, could not be read. */
  filesReason: z.string().nullable(),
});
export type Difference = z.infer<typeof Difference>;

export const diff = defineOperation({
  id: 'snapshot.diff',
  method: 'POST',
  path: '/v1/vms/{vm}/snapshots/{snapshot}/diff',
  permission: 'snapshot.diff',
  task: true,
  summary: 'Tell which regions of a VM’s disks, and which files, differ between two snapshots',
  input: z.object({
    vm,
    snapshot,
    to: snapshot.describe('Label or id of the snapshot to compare with; now: the VM as it is'),
    files: z
      .boolean()
      .default(true)
      .describe('Which files, read by a guest of its own for ext2 to ext4, XFS, btrfs and FAT, in partitions, on LVM and on software RAID'),
  }),
  output: Difference,
  errors: ['invalid', ...failures.find, 'wrong_state', ...failures.start, 'in_use', 'no_agent', 'guest_failed', 'too_large'],
  cli: {
    words: 'snapshot diff',
    section: 'Snapshots and forks',
    prints: 'difference',
    args: ['vm', 'snapshot', 'to'],
    without: { files: 'The regions of its disks alone: no guest reads which files differ' },
  },
});

export const thumbnail = defineOperation({
  id: 'snapshot.thumbnail',
  method: 'GET',
  path: '/v1/vms/{vm}/snapshots/{snapshot}/thumbnail',
  permission: 'snapshot.read',
  transport: 'download',
  summary: 'Give a snapshot’s small picture of the screen, or the end of its serial log',
  input: One,
  output: z.unknown(),
  errors: ['invalid', 'not_found', 'ambiguous', 'corrupt'],
  cli: { words: 'snapshot thumbnail', section: 'Snapshots and forks', args: ['vm', 'snapshot'], custom: true },
});

export const restore = defineOperation({
  id: 'snapshot.restore',
  method: 'POST',
  path: '/v1/vms/{vm}/snapshots/{snapshot}/restore',
  permission: 'snapshot.restore',
  risk: 'loss',
  task: true,
  summary: 'Set a VM back to one of its snapshots; no snapshot is lost by it',
  input: One.extend({ start: z.boolean().default(true).describe('Let it go on from there at once, where the snapshot has memory') }),
  output: Vm,
  errors: [
    'invalid',
    'not_found',
    'ambiguous',
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
    without: { start: 'Leave it asleep at that point: viv start lets it go on from there' },
    confirm: 'Set {vm} back to {snapshot}? What it has done since then is lost',
  },
});

export const Verification = z.object({
  vm: Name,
  /** How many snapshots are whole. */
  snapshots: z.int(),
  /** How many files have been read and compared with their checksums; those that snapshots have in common count once. */
  files: z.int(),
  /** How many had no checksums yet, and have them from now on: nothing can be said of them before. */
  checksummed: z.int(),
  /** What has been read. */
  bytes: Bytes,
});
export type Verification = z.infer<typeof Verification>;

export const verify = defineOperation({
  id: 'snapshot.verify',
  method: 'POST',
  path: '/v1/vms/{vm}/snapshots/verify',
  permission: 'snapshot.verify',
  task: true,
  summary: 'Read all that a VM’s snapshots are made of again and compare it with the checksums taken when it was written',
  input: z.object({ vm, snapshot: snapshot.optional().describe('Label or id of a snapshot; all of them by default') }),
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
  summary: 'Remove a snapshot; VMs and snapshots that build on it stay whole',
  input: One.extend({ force: z.boolean().default(false).describe('A template as well') }),
  output: z.object({ id: z.string() }),
  errors: ['invalid', 'not_found', 'ambiguous', 'in_use'],
  cli: {
    words: 'snapshot rm',
    section: 'Snapshots and forks',
    args: ['vm', 'snapshot'],
    short: { force: 'f' },
    confirm: 'Remove the snapshot {snapshot} of {vm}?',
  },
});
