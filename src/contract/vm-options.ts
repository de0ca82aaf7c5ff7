// What a VM is created with, and which of it can be changed afterwards.
import { z } from 'zod';
import { GiB, ImageRef, MiB, Name, Text } from './field.ts';
import { ForwardText } from './forward.ts';
import { NicText } from './nic-spec.ts';
import { resourceChanges, resourceOptions } from './resource.ts';
import { SnapshotPolicyText } from './snapshot-policy.ts';
import { Accel, BootDevice, Firmware, RestartPolicy } from './vm-state.ts';

const cpus = z.int().min(1, 'a VM has at least 1 CPU').max(256, 'a VM has at most 256 CPUs');
const memoryBytes = z
  .int()
  .min(32 * MiB, 'a VM has at least 32 MiB of memory')
  .max(16384 * GiB, 'a VM has at most 16 TiB of memory');
const diskBytes = z
  .int()
  .min(MiB, 'a disk has at least 1 MiB')
  .max(65536 * GiB, 'a disk has at most 64 TiB');
const sshKey = Text.max(16384).regex(/^[^\r\n]+$/, 'an SSH key is one line');
/** A user of a guest. */
export const GuestUser = z
  .string()
  .max(32)
  .regex(/^[a-z_][a-z0-9_-]*$/, 'a user name is made of a-z, 0-9, _ and -');

const snapshotPolicyHelp =
  'When snapshots are taken automatically, such as "every 10 min keep 12, hourly keep 24, before risky operations", or none';

/** What `create` and `run` take. */
export const VmOptions = z.object({
  image: ImageRef.describe('Image to create it from, such as tiny or debian:12'),
  name: Name.optional().describe('Name of the VM (default: a generated one)'),
  project: Name.optional().describe('Project that owns it (default: the caller’s only one, or none)'),
  cpus: cpus.default(1).describe('Number of virtual CPUs'),
  memoryBytes: memoryBytes.optional().describe('Memory of the guest (default: what the image recommends)'),
  diskBytes: diskBytes.optional().describe('Size of the system disk (default: the image’s)'),
  networks: z
    .array(NicText)
    .max(8)
    .optional()
    .describe(
      'Network of a NIC, such as default or back,mac=52:54:00:12:34:56,address=10.1.2.9; user: QEMU’s own NAT; none: no NIC (default: default)',
    ),
  forwards: z
    .array(ForwardText)
    .max(64)
    .default([])
    .describe('Port forward to the VM: [ADDRESS:]PORT[-LAST][:PORT][/tcp|/udp], such as 8080:80'),
  accel: Accel.default('auto').describe('Accelerator: kvm, tcg (emulation), or auto for kvm where it works'),
  firmware: Firmware.optional().describe('Firmware (default: the image’s)'),
  tpm: z.boolean().default(false).describe('Give it a TPM 2.0'),
  ...resourceOptions,
  restart: RestartPolicy.default('no').describe('Start it again when it ends by itself: no, on-failure or always'),
  autostart: z.boolean().default(false).describe('Start it when the host starts'),
  removeOnStop: z.boolean().default(false).describe('Remove it when it stops'),
  snapshotPolicy: SnapshotPolicyText.optional().describe(snapshotPolicyHelp),
  hostname: Name.optional().describe('Host name inside the guest (default: the VM’s name)'),
  users: z.array(GuestUser).max(32).default([]).describe('User that cloud-init creates, with sudo and the SSH keys'),
  sshKeys: z.array(sshKey).max(64).default([]).describe('SSH public keys that may log in'),
  userData: Text.max(1 * MiB)
    .optional()
    .describe('cloud-init user data as text, passed on unchanged'),
  userDataBase64: z
    .base64('user data in Base64 is not valid')
    .max(1.4 * MiB)
    .optional()
    .describe('cloud-init user data as any bytes (such as gzip), in Base64'),
  networkConfig: Text.max(64 * 1024)
    .optional()
    .describe('cloud-init network configuration (version 1 or 2), passed on unchanged'),
  cdroms: z.array(ImageRef).max(4).default([]).describe('ISO image in a CD drive'),
  boot: z.array(BootDevice).max(3).optional().describe('Boot order, such as cdrom,disk (default: disk first)'),
});
export type VmOptions = z.infer<typeof VmOptions>;

/** What `set` takes. */
export const VmSettings = z.object({
  cpus: cpus.optional().describe('Number of virtual CPUs'),
  memoryBytes: memoryBytes.optional().describe('Memory of the guest'),
  diskBytes: diskBytes.optional().describe('Size of the system disk, which can only grow'),
  accel: Accel.optional().describe('Accelerator: kvm, tcg (emulation), or auto for kvm where it works'),
  tpm: z.boolean().optional().describe('Whether it has a TPM 2.0; the state of a removed TPM is kept'),
  ...resourceChanges,
  restart: RestartPolicy.optional().describe('Start it again when it ends by itself: no, on-failure or always'),
  autostart: z.boolean().optional().describe('Whether it starts when the host starts'),
  removeOnStop: z.boolean().optional().describe('Whether it is removed when it stops'),
  snapshotPolicy: SnapshotPolicyText.optional().describe(snapshotPolicyHelp),
  boot: z.array(BootDevice).max(3).optional().describe('Boot order, such as cdrom,disk'),
  cdroms: z.array(ImageRef).max(4).optional().describe('ISO image in a CD drive; replaces all others'),
});
