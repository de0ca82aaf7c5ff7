// What QEMU is started with: everything argv is made of, and nothing else. args/ turns it into arguments (pure).
import { z } from 'zod';
import { Arch } from '../contract/field.ts';

export const DiskConfig = z.object({
  /** Stable for the VM's life: root, data0, cd0, seed. Becomes the block node's and the device's id. */
  id: z.string().regex(/^[a-z][a-z0-9-]*$/),
  file: z.string(),
  format: z.enum(['qcow2', 'raw']),
  media: z.enum(['disk', 'cdrom']),
  readOnly: z.boolean(),
  /** Position in the boot order, from 0; null: not booted from. */
  bootIndex: z.number().int().nullable(),
});
export type DiskConfig = z.infer<typeof DiskConfig>;

export const NicConfig = z.object({
  id: z.string().regex(/^[a-z][a-z0-9-]*$/),
  mac: z.string().regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/),
  /** user: QEMU's own NAT. tap: one that the process inherits, with the kernel's own part of it where it has that. */
  backend: z.discriminatedUnion('type', [
    z.object({ type: z.literal('user'), hostname: z.string() }),
    z.object({ type: z.literal('tap'), fd: z.number().int(), vhostFd: z.number().int().nullable() }),
  ]),
  /** Hot-plug slot; null: part of the machine type. */
  slot: z.number().int().nullable().default(null),
  /** False: its link is down. */
  up: z.boolean().default(true),
  /** Its guest is asked to announce its addresses when it continues from a saved state. */
  announces: z.boolean().default(false),
  /** Its guest may reset one queue alone. The kernel's vhost-net may not have that, so a saved state with it fits no process that uses vhost-net. */
  queueReset: z.boolean().default(false),
  bootIndex: z.number().int().nullable(),
});
export type NicConfig = z.infer<typeof NicConfig>;

export const QemuConfig = z.object({
  /** Shown by ps, and how a process is recognized as this VM's. */
  id: z.string(),
  name: z.string(),
  /** RFC 4122, becomes the SMBIOS and VM UUID. */
  uuid: z.string(),
  arch: Arch,
  /** QEMU's name of the machine type with its version, such as pc-q35-10.0. */
  machineType: z.string(),
  accel: z.enum(['kvm', 'tcg']),
  cpus: z.number().int(),
  /** vCPUs that can be plugged in while it runs; null: none. */
  maxCpus: z.number().int().nullable().default(null),
  /** `default`, `host`, a level such as x86-64-v2, or QEMU's own name. */
  cpuModel: z.string().default('default'),
  /** +NAME or -NAME. */
  cpuFeatures: z.array(z.string()).default([]),
  memoryBytes: z.number().int(),
  /** Null: it has no balloon. */
  balloon: z.object({ freePageReporting: z.boolean() }).nullable().default(null),
  hugepages: z.boolean().default(false),
  /** Equal pages are merged with those of other processes. */
  ksm: z.boolean().default(false),
  firmware: z.discriminatedUnion('type', [
    z.object({ type: z.literal('bios') }),
    /** code: read-only image of the host; vars: the VM's own qcow2. */
    z.object({ type: z.literal('uefi'), code: z.string(), vars: z.string() }),
  ]),
  /** layers: files that the process inherits (memory.ts), so that the guest can be forked. */
  memory: z.enum(['plain', 'layers']),
  /** Direct boot (tiny). */
  kernel: z.object({ file: z.string(), initrd: z.string(), commandLine: z.string() }).nullable(),
  disks: z.array(DiskConfig),
  nics: z.array(NicConfig),
  sockets: z.object({ qmp: z.string(), serial: z.string(), agent: z.string(), qga: z.string(), vnc: z.string() }),
  serialLog: z.string(),
  /** The inherited descriptor that its TPM answers at; null: it has none. */
  tpm: z.object({ fd: z.int() }).nullable(),
  /** Start with CPUs stopped; waiting for a state to come in over QMP (`migrate-incoming`). */
  incoming: z.boolean(),
  /** How NICs are plugged in while it runs: over a monitor of their own, into so many slots. */
  hotplug: z.object({ socket: z.string(), slots: z.number().int() }).nullable().default(null),
});
export type QemuConfig = z.infer<typeof QemuConfig>;
