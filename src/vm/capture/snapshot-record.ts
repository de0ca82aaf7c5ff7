// What the store keeps of a snapshot: key `snapshot/<id>`. A snapshot is a VM as it was at one instant; nothing of it changes later.
import { z } from 'zod';
import { Bytes, Time } from '../../contract/field.ts';
import { VmRecord } from '../record.ts';

/** Where the guest's memory is. */
export const SnapshotMemory = z.discriminatedUnion('in', [
  /** In the VM's QEMU process for as long as that lives: its descriptors of the layers, bottom first. */
  z.object({ in: z.literal('process'), pid: z.int(), startTicks: z.int(), layers: z.array(z.int()) }),
  /** In the snapshot's own file. */
  z.object({ in: z.literal('file') }),
]);
export type SnapshotMemory = z.infer<typeof SnapshotMemory>;

/** Checksums of its files when they were written, to notice damage. */
export const SnapshotChecksums = z.object({
  devices: z.object({ bytes: Bytes, crc: z.int() }).nullable(),
  /** Bytes of each layer, those below included. */
  layers: z.record(z.string(), Bytes),
  /** Files of its TPM, by name. */
  tpm: z.record(z.string(), z.object({ bytes: Bytes, crc: z.int() })),
});
export type SnapshotChecksums = z.infer<typeof SnapshotChecksums>;

export const SnapshotRecord = z.object({
  id: z.string(),
  vm: z.string(),
  label: z.string().nullable(),
  /** `fork`: only for the forks that are being created. `suspend`: the state of a suspended VM. Neither is shown. */
  kind: z.enum(['snapshot', 'fork', 'suspend']),
  /** The previous snapshot in the VM's tree. */
  parent: z.string().nullable(),
  createdAt: Time,
  /** False until it can be restored. */
  complete: z.boolean(),
  /** Null: disks only. */
  memory: SnapshotMemory.nullable(),
  /** What its memory takes in its file. */
  memoryBytes: Bytes,
  /** Protected: changed and removed only with --force. */
  template: z.boolean(),
  /** The rule that took it; null: it was taken on request. */
  auto: z.string().nullable(),
  /** What is in its thumbnail file. */
  thumbnail: z.enum(['png', 'text']).nullable(),
  checksums: SnapshotChecksums.nullable(),
  /** Mount points that the guest had frozen; null: it was not quiesced. */
  frozenFileSystems: z.array(z.string()).nullable(),
  /** How long the guest was paused for it, in ms. */
  pausedMs: z.number(),
  /** The VM, with its disks' files as they are kept: layers. */
  vmRecord: VmRecord,
});
export type SnapshotRecord = z.infer<typeof SnapshotRecord>;

/** What can be read of a snapshot whose record cannot be. */
export interface UnreadableSnapshot {
  readonly id: string;
  /** Id of its VM; empty: not known. */
  readonly vm: string;
  readonly label: string | null;
  readonly createdAt: number;
  /** Why, as a clause. */
  readonly why: string;
}

/** The snapshots of this host: what the VM room does with them. */
export interface SnapshotRecords {
  /** Those whose record cannot be read: what they are backed by is not known, so no layer is removed. */
  unreadable(): readonly UnreadableSnapshot[];
  all(): SnapshotRecord[];
  byId(id: string): SnapshotRecord | undefined;
  /** @throws not_found */
  get(id: string): SnapshotRecord;
  /** Enters or replaces one. Repeatable. */
  put(record: SnapshotRecord): Promise<void>;
  /** Repeatable. */
  drop(id: string): Promise<void>;
}

export const snapshotKey = (id: string) => `snapshot/${id}`;
