// A VM as the API shows it: its states, and the shape of one. Which verb a state allows is in vm-verdicts.ts.
import { z } from 'zod';
import { Arch, Bytes, Name, Time } from './field.ts';
import { Nic } from './nic-spec.ts';
import { ResourceSettings, ResourceUse } from './resource.ts';

/**
 *            start                    suspend
 *  stopped ─────────► running ◄─────────────────► suspended
 *     ▲                │   ▲          start
 *     │ stop, exit     │   │ resume
 *     ├────────────────┤   │
 *     │                ▼   │
 *     └───────────── paused          broken: needs repair; stateReason says why
 *                                    not-responding: its QEMU has not answered since stateReason.occurredAt
 */
export const VmState = z.enum(['stopped', 'running', 'paused', 'suspended', 'broken', 'not-responding']);
export type VmState = z.infer<typeof VmState>;

/** Why a VM is in a state nobody asked for. */
export const StateReason = z.object({
  code: z
    .enum([
      'guest_shutdown',
      'guest_panic',
      'qemu_exited',
      'host_disk_full',
      'disk_error',
      'host_restarted',
      'start_failed',
      'files_missing',
      'removed_on_stop',
      'not_responding',
      'stopped_by_force',
      'record_unreadable',
    ])
    .describe('Reason for programs'),
  message: z.string().describe('Reason as a sentence'),
  occurredAt: Time.describe('Time at which it happened'),
});
export type StateReason = z.infer<typeof StateReason>;

export const Accel = z.enum(['auto', 'kvm', 'tcg']);
export const Firmware = z.enum(['bios', 'uefi']);
export const RestartPolicy = z.enum(['no', 'on-failure', 'always']);
export const BootDevice = z.enum(['disk', 'cdrom', 'network']);

export const Disk = z.object({
  id: z.string().describe('Name of the disk in its VM, such as root'),
  kind: z
    .enum(['root', 'data', 'cdrom', 'seed'])
    .describe('root: the system disk; data: a further disk; cdrom: a CD; seed: the cloud-init seed'),
  sizeBytes: Bytes.describe('Size as the guest sees it'),
  usedBytes: Bytes.nullable().describe('Bytes of the VM’s own file on the host; null for read-only media'),
  backing: z.string().nullable().describe('Backing file: an image’s, or one shared with snapshots and forks; null: an independent disk'),
});

export const GuestAgent = z.object({
  connected: z.boolean().describe('Whether a guest agent answers'),
  version: z.string().nullable().describe('Version of the agent that answers'),
  kind: z.enum(['vivarium', 'qemu-guest-agent']).nullable().describe('Agent that answers'),
});

export const Vm = z.object({
  id: z.string().describe('Id, unique on this host'),
  name: Name.describe('Name, unique on this host'),
  state: VmState.describe('State of the VM'),
  stateReason: StateReason.nullable().describe('Why it is in a state that nobody asked for'),
  activity: z
    .object({ task: z.string().describe('Id of the task'), operation: z.string().describe('Operation, such as vm.start') })
    .nullable()
    .describe('Operation in progress'),
  image: z.string().nullable().describe('Name of the image it was created from'),
  imageDigest: z.string().nullable().describe('Digest of that image; null: it uses none of the image’s files (a full clone)'),
  arch: Arch.describe('Architecture of the guest'),
  cpus: z.int().describe('Number of virtual CPUs'),
  memoryBytes: Bytes.describe('Memory of the guest'),
  firmware: Firmware.describe('Firmware'),
  accel: Accel.describe('Accelerator that was asked for'),
  accelInUse: z.enum(['kvm', 'tcg']).nullable().describe('Accelerator it runs with; null: it does not run'),
  disks: z.array(Disk).describe('Disks and CD drives'),
  nics: z.array(Nic).describe('Network interfaces'),
  forwards: z.array(z.string()).describe('Port forwards to it, such as 8080:80/tcp'),
  boot: z.array(BootDevice).describe('Boot order'),
  restart: RestartPolicy.describe('When it is started again after it ended by itself'),
  autostart: z.boolean().describe('Whether it starts with the host'),
  removeOnStop: z.boolean().describe('Whether it is removed when it stops'),
  tpm: z.boolean().describe('Whether it has a TPM 2.0'),
  resources: ResourceSettings.describe('Share of the host’s CPU, memory and disk I/O'),
  resourceUse: ResourceUse.nullable().describe('What it has of the host now; only in vm.show, of a VM that runs'),
  snapshotPolicy: z.string().nullable().describe('When snapshots are taken automatically, such as hourly keep 24; null: never'),
  pending: z.array(z.string()).describe('Settings that take effect at the next start'),
  pid: z.int().nullable().describe('Process id of its QEMU on the host'),
  agent: GuestAgent.describe('Guest agent'),
  createdAt: Time.describe('Time of creation'),
  startedAt: Time.nullable().describe('Time of the last start'),
  forkedFrom: z.string().nullable().describe('Name, at that time, of the VM it was forked from'),
  snapshot: z.string().nullable().describe('Id of its current snapshot: the last one taken or restored'),
  project: z.string().nullable().optional().describe('Id of the project that owns it; null or absent: none'),
  allowed: z
    .record(z.string(), z.union([z.literal(true), z.string()]))
    .optional()
    .describe('Verb -> true, or why not: its state, the caller’s permissions and the project’s quotas; only of one VM, not in lists'),
});
export type Vm = z.infer<typeof Vm>;
