// A VM as the API shows it: its states, and the shape of one. Which verb a state allows is in vm-verdicts.ts.
import { z } from 'zod';
import { Arch, Bytes, Name, Time } from './field.ts';
import { Nic } from './nic-spec.ts';

/**
 *            start                    suspend
 *  stopped ─────────► running ◄─────────────────► suspended
 *     ▲                │   ▲          start
 *     │ stop, exit     │   │ resume
 *     ├────────────────┤   │
 *     │                ▼   │
 *     └───────────── paused          broken: cannot go on as it is; stateReason says why
 */
export const VmState = z.enum(['stopped', 'running', 'paused', 'suspended', 'broken']);
export type VmState = z.infer<typeof VmState>;

/** Why a VM is in a state nobody asked for. */
export const StateReason = z.object({
  code: z.enum([
    'guest_shutdown',
    'guest_panic',
    'qemu_exited',
    'host_disk_full',
    'disk_error',
    'host_restarted',
    'start_failed',
    'files_missing',
    'removed_on_stop',
  ]),
  message: z.string(),
  occurredAt: Time,
});
export type StateReason = z.infer<typeof StateReason>;

export const Accel = z.enum(['auto', 'kvm', 'tcg']);
export const Firmware = z.enum(['bios', 'uefi']);
export const RestartPolicy = z.enum(['no', 'on-failure', 'always']);
export const BootDevice = z.enum(['disk', 'cdrom', 'network']);

export const Disk = z.object({
  id: z.string(),
  kind: z.enum(['root', 'data', 'cdrom', 'seed']),
  sizeBytes: Bytes,
  /** Bytes the VM's own file takes on the host; null for read-only media. */
  usedBytes: Bytes.nullable(),
  /** The file that its own one is laid on (an image's, or a layer shared with snapshots and forks); null: it stands alone. */
  backing: z.string().nullable(),
});

export const GuestAgent = z.object({
  connected: z.boolean(),
  version: z.string().nullable(),
  /** Which one answers. */
  kind: z.enum(['vivarium', 'qemu-guest-agent']).nullable(),
});

export const Vm = z.object({
  id: z.string(),
  name: Name,
  state: VmState,
  stateReason: StateReason.nullable(),
  /** The operation under way, if any: `{ task, operation: 'vm.start' }`. */
  activity: z.object({ task: z.string(), operation: z.string() }).nullable(),
  image: z.string().nullable(),
  /** Null: it uses no file of it (a full clone). */
  imageDigest: z.string().nullable(),
  arch: Arch,
  cpus: z.int(),
  memoryBytes: Bytes,
  firmware: Firmware,
  accel: Accel,
  /** What it runs with now. */
  accelInUse: z.enum(['kvm', 'tcg']).nullable(),
  disks: z.array(Disk),
  nics: z.array(Nic),
  /** Ports of the host that lead to it (contract/forward.ts), such as `8080:80/tcp`. */
  forwards: z.array(z.string()),
  boot: z.array(BootDevice),
  restart: RestartPolicy,
  autostart: z.boolean(),
  removeOnStop: z.boolean(),
  /** It has a TPM 2.0. */
  tpm: z.boolean(),
  /** When snapshots are made by themselves (contract/snapshot-policy.ts); null: never. */
  snapshotPolicy: z.string().nullable(),
  /** Settings that take effect at the next start. */
  pending: z.array(z.string()),
  pid: z.int().nullable(),
  agent: GuestAgent,
  createdAt: Time,
  startedAt: Time.nullable(),
  /** Name, at that time, of the VM it was forked from. */
  forkedFrom: z.string().nullable(),
  /** Id of the snapshot it came from last. */
  snapshot: z.string().nullable(),
  /** Id of the project that owns it; null or absent: none. */
  project: z.string().nullable().optional(),
  /** Verb -> true, or why not: its state, the caller's permissions and the project's quotas. Only of one VM, not in lists. */
  allowed: z.record(z.string(), z.union([z.literal(true), z.string()])).optional(),
});
export type Vm = z.infer<typeof Vm>;
