// What the store keeps of a point: key `point/<id>`. A point is a machine as it was at one instant; nothing of it changes later.
import { z } from 'zod';
import { Bytes, Time } from '../../contract/field.ts';
import { MachineRecord } from '../record.ts';

/** Where the guest's memory is. */
export const PointMemory = z.discriminatedUnion('in', [
  /** In the machine's QEMU process for as long as that lives: its descriptors of the layers, bottom first. */
  z.object({ in: z.literal('process'), pid: z.int(), startTicks: z.int(), layers: z.array(z.int()) }),
  /** In the point's own file. */
  z.object({ in: z.literal('file') }),
]);
export type PointMemory = z.infer<typeof PointMemory>;

/** What its files were like when they were written, to tell damage. */
export const PointSums = z.object({
  devices: z.object({ bytes: Bytes, crc: z.int() }).nullable(),
  /** Bytes of each layer, those below included. */
  layers: z.record(z.string(), Bytes),
  /** Files of its TPM, by name. */
  tpm: z.record(z.string(), z.object({ bytes: Bytes, crc: z.int() })).default({}),
});
export type PointSums = z.infer<typeof PointSums>;

export const PointRecord = z.object({
  id: z.string(),
  vm: z.string(),
  label: z.string().nullable(),
  /** `fork`: there for the children that are being made only. `suspend`: for the machine that sleeps at it only. Neither is shown. */
  kind: z.enum(['snapshot', 'fork', 'suspend']),
  /** The point before it in the machine's tree. */
  parent: z.string().nullable(),
  createdAt: Time,
  /** False until it can be restored. */
  complete: z.boolean(),
  /** Null: disks only. */
  memory: PointMemory.nullable(),
  /** What its memory takes in its file. */
  memoryBytes: Bytes,
  /** Neither changed nor removed without being asked twice. */
  template: z.boolean(),
  /** The rule that made it; null: somebody did. */
  auto: z.string().nullable().default(null),
  /** What is in its thumbnail file. */
  thumbnail: z.enum(['png', 'text']).nullable().default(null),
  sums: PointSums.nullable().default(null),
  /** How long the guest stood still for it, in ms. */
  pausedMs: z.number(),
  /** The machine, with its disks' files as they are kept: layers. */
  machine: MachineRecord,
});
export type PointRecord = z.infer<typeof PointRecord>;

export const pointKey = (id: string) => `point/${id}`;
