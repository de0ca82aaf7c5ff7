// What the store keeps of a VM: key `vm/<id>`, and `vm-name/<name>` so that a name is taken once.
import { z } from 'zod';
import { Arch, Bytes, Name, Time } from '../contract/field.ts';
import { ImageTraits } from '../contract/image.ts';
import { NicRules } from '../contract/nic-spec.ts';
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
  /** The backing file: the image's, or a layer; null: it is independent. */
  backing: z.string().nullable(),
  /** Digest of the image it is, for CDs; so that the image counts as used. */
  digest: z.string().nullable(),
});
export type DiskRecord = z.infer<typeof DiskRecord>;

/** A CD that was in a drive at the start. */
const Cd = z.object({ file: z.string(), digest: z.string().nullable() });

export const NicRecord = z.object({
  id: z.string(),
  /** Name of a virtual network, or `user` (QEMU's own). */
  network: z.string(),
  mac: z.string(),
  /** Reserved for the life of the VM; null until it is registered, and where the network assigns addresses itself. */
  ipv4: z.string().nullable(),
  ipv6: z.string().nullable(),
  /** False: the link is down. */
  up: z.boolean(),
  /** Its hot-plug slot; null: it is part of the machine type and stays while the VM runs. */
  slot: z.int().nullable(),
  vlan: z.int().nullable(),
  trunk: z.array(z.int()),
  securityGroups: NicRules.shape.securityGroups,
  egress: NicRules.shape.egress,
  rateIn: NicRules.shape.rateIn,
  rateOut: NicRules.shape.rateOut,
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
  tpm: z.boolean(),
  resources: ResourceSettings,
  /** Automatic snapshots; null: none. */
  snapshotPolicy: SnapshotPolicy.nullable(),
  /** Null: the VM's name. */
  hostname: Name.nullable(),
});
export type Settings = z.infer<typeof Settings>;

export const SeedSettings = z.object({
  users: z.array(z.string()),
  sshKeys: z.array(z.string()),
  userData: z.string().nullable(),
  userDataBase64: z.string().nullable(),
  networkConfig: z.string().nullable(),
});

export const VmRecord = z.object({
  id: z.string(),
  name: Name,
  uuid: z.string(),
  /** Unprivileged user its QEMU runs as; null when the daemon is not root. */
  uid: z.int().nullable(),
  arch: Arch,
  /** False until everything it needs has been made: not listed, not startable. */
  complete: z.boolean(),
  /** Whether QEMU answers is not recorded. */
  state: VmState.exclude(['not-responding']),
  stateReason: StateReason.nullable(),
  /** What its user asked for last: whether it is started again. */
  desired: z.enum(['running', 'stopped']),
  settings: Settings,
  /** Settings it was started with; what differs takes effect at the next start. */
  started: Settings.extend({
    accelInUse: z.enum(['kvm', 'tcg']),
    machineType: z.string(),
    cdroms: z.array(Cd),
    slots: z.int(),
    /** It has a balloon. VMs started by 0.1.0 have none. */
    balloon: z.boolean(),
    /** Its guest announces its addresses when it resumes from a saved state. VMs started by 0.1.0 and before do. */
    announces: z.boolean(),
    /** Its NICs offer a queue reset, which the kernel's vhost-net may not have. VMs started by 0.1.0 and before do. */
    queueReset: z.boolean(),
  }).nullable(),
  /** digest: null where it uses no file of it any more. */
  image: z.object({
    name: z.string(),
    digest: z.string().nullable(),
    minMemoryBytes: ImageTraits.shape.minMemoryBytes,
    ready: ImageTraits.shape.ready,
  }),
  kernel: z.object({ file: z.string(), initrd: z.string(), commandLine: z.string() }).nullable(),
  /** Null: the image has no cloud-init. */
  seed: SeedSettings.nullable(),
  disks: z.array(DiskRecord),
  /** Its UEFI variables, where they are not in the file that it began with. */
  vars: z.string().nullable(),
  /** The current snapshot: the parent of its next one. */
  at: z.string().nullable(),
  /** The snapshot whose memory it resumes from; null: its own saved state. */
  resumeFrom: z.string().nullable(),
  /** Set until its guest has taken its own identity. */
  pendingIdentity: z.object({ macs: z.array(z.object({ old: z.string(), new: z.string(), keepAddresses: z.boolean() })) }).nullable(),
  /** It has resumed, and its guest has not learned the time yet. */
  resumedFromSuspend: z.boolean(),
  forkedFrom: z.string().nullable(),
  /** Id of the project that owns it; null: it belongs to the host. */
  project: z.string().nullable(),
  /** The warm pool that it is a member of; it is not complete until it is taken. */
  warmPool: z.string().nullable(),
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
