// What the store keeps of a VM: key `vm/<id>`, and `vm-name/<name>` so that a name is taken once.
import { z } from 'zod';
import { Arch, Bytes, Name, Time } from '../contract/field.ts';
import { defaultNicRules, NicRules } from '../contract/nic-spec.ts';
import { ResourceSettings } from '../contract/resource.ts';
import { SnapshotPolicy } from '../contract/snapshot-policy.ts';
import { Accel, BootDevice, Firmware, RestartPolicy, StateReason, VmState } from '../contract/vm-state.ts';

export const DiskRecord = z.object({
  id: z.string(),
  kind: z.enum(['root', 'data', 'cdrom', 'seed']),
  /** Absolute for media shared with others (an ISO image), else null: the VM's own file named by its id. */
  file: z.string(),
  format: z.enum(['qcow2', 'raw']),
  sizeBytes: Bytes,
  /** The image's file or the layer that it is an overlay of; null: it stands alone. */
  backing: z.string().nullable(),
  /** Digest of the image it is, for CDs; so that the image counts as used. */
  digest: z.string().nullable(),
});
export type DiskRecord = z.infer<typeof DiskRecord>;

/** A CD that was in a drive at the start. */
const Cd = z.union([
  z.object({ file: z.string(), digest: z.string().nullable() }),
  z.string().transform((file) => ({ file, digest: null })),
]);

export const NicRecord = z.object({
  id: z.string(),
  /** Name of a network of ours, or `user`. */
  network: z.string(),
  mac: z.string(),
  /** Its for life; null until it is in the store (networks.ts), and where others give them. */
  ipv4: z.string().nullable().default(null),
  ipv6: z.string().nullable().default(null),
  /** False: its cable is out. */
  up: z.boolean().default(true),
  /** Which hot-plug slot it is in; null: on the board itself, where it stays while the VM runs. */
  slot: z.int().nullable().default(null),
  vlan: z.int().nullable().default(null),
  trunk: z.array(z.int()).default([]),
  securityGroups: NicRules.shape.securityGroups.default(defaultNicRules.securityGroups),
  egress: NicRules.shape.egress.default(defaultNicRules.egress),
  rateIn: NicRules.shape.rateIn.default(defaultNicRules.rateIn),
  rateOut: NicRules.shape.rateOut.default(defaultNicRules.rateOut),
});
export type NicRecord = z.infer<typeof NicRecord>;

/** What a user can set. */
export const Settings = z.object({
  cpus: z.int(),
  memoryBytes: Bytes,
  accel: Accel,
  firmware: Firmware,
  boot: z.array(BootDevice),
  restart: RestartPolicy,
  autostart: z.boolean(),
  removeOnStop: z.boolean(),
  tpm: z.boolean().default(false),
  resources: ResourceSettings.prefault({}),
  /** Automatic snapshots; null: none. */
  snapshotPolicy: SnapshotPolicy.nullable().default(null),
  /** Null: the VM's name. */
  hostname: Name.nullable(),
});
export type Settings = z.infer<typeof Settings>;

export const SeedSettings = z.object({ users: z.array(z.string()), sshKeys: z.array(z.string()), userData: z.string().nullable() });

export const VmRecord = z.object({
  id: z.string(),
  name: Name,
  uuid: z.string(),
  /** Unprivileged user its QEMU runs as; null when the daemon is not root. */
  uid: z.int().nullable(),
  arch: Arch,
  /** False until everything it needs has been made: not listed, not startable. */
  complete: z.boolean(),
  state: VmState,
  stateReason: StateReason.nullable(),
  /** What its user asked for last; decides whether it is started again. */
  desired: z.enum(['running', 'stopped']),
  settings: Settings,
  /** Settings it was started with; what differs takes effect at the next start. */
  started: Settings.extend({
    accelInUse: z.enum(['kvm', 'tcg']),
    machineType: z.string().default(''),
    cdroms: z.array(Cd),
    slots: z.int().default(0),
    /** A VM that was started before there were balloons has none. */
    balloon: z.boolean().default(false),
    /** Its guest announces its addresses when it goes on from a saved state, as those did that were started before forks did not. */
    announces: z.boolean().default(true),
    /** Its NICs offer what the kernel's vhost-net may not have, as those did that were started before it mattered. */
    queueReset: z.boolean().default(true),
  }).nullable(),
  /** digest: null where it uses no file of it any more. */
  image: z.object({ name: z.string(), digest: z.string().nullable() }),
  kernel: z.object({ file: z.string(), initrd: z.string(), commandLine: z.string() }).nullable(),
  /** Null: the image has no cloud-init. */
  seed: SeedSettings.nullable(),
  disks: z.array(DiskRecord),
  /** Its UEFI variables, where they are not in the file of its own that it began with. */
  vars: z.string().nullable().default(null),
  /** Group that may read the layers which it shares with the VMs it was forked from or into; null: its own user's. */
  family: z.int().nullable().default(null),
  /** The snapshot it came from last: the parent of its next one. */
  at: z.string().nullable().default(null),
  /** The snapshot whose memory it wakes from; null: from its own saved state. */
  resumeFrom: z.string().nullable().default(null),
  /** Set until its guest has been told that it is not the one it was forked from. */
  pendingIdentity: z
    .object({ macs: z.array(z.object({ old: z.string(), new: z.string(), keepAddresses: z.boolean().default(false) })) })
    .nullable()
    .default(null),
  /** It woke and has not been told how late it is. */
  resumedFromSuspend: z.boolean().default(false),
  forkedFrom: z.string().nullable().default(null),
  /** Id of the project that owns it; null: it belongs to the host. */
  project: z.string().nullable().default(null),
  /** The warm pool that it stands ready in until it is taken; it is not complete for as long. */
  warmPool: z.string().nullable().default(null),
  nics: z.array(NicRecord),
  createdAt: Time,
  startedAt: Time.nullable(),
  /** Boot of the host it was started in; another one means that the host restarted. */
  bootId: z.string().nullable(),
  /** Starts by the restart policy in a row, for the back-off. */
  restarts: z.int(),
});
export type VmRecord = z.infer<typeof VmRecord>;

export const vmKey = (id: string) => `vm/${id}`;
export const nameKey = (name: string) => `vm-name/${name}`;
