// What a VM is made with, and which of it can be changed afterwards.
import { z } from 'zod';
import { GiB, ImageRef, MiB, Name, Text } from './field.ts';
import { ForwardText } from './forward.ts';
import { NicText } from './nic-spec.ts';
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

const snapshotPolicyHelp = 'Automatic snapshots, such as "every 10 min keep 12, hourly keep 24, before risky operations"; none: no more';

/** What `create` and `run` take. */
export const VmOptions = z.object({
  image: ImageRef.describe('Image it is made from, such as tiny or debian:12'),
  name: Name.optional().describe('Name; made up by default'),
  project: Name.optional().describe('Project that owns it; default: the caller’s only one, or none'),
  cpus: cpus.default(1).describe('Virtual CPUs'),
  memoryBytes: memoryBytes.optional().describe('Memory; the image says how much by default'),
  diskBytes: diskBytes.optional().describe('Size of its disk; the image’s own by default'),
  networks: z
    .array(NicText)
    .max(8)
    .optional()
    .describe('Network of a NIC, such as default or back,mac=52:54:00:12:34:56,address=10.1.2.9; user: QEMU’s own NAT; none: no network'),
  forwards: z
    .array(ForwardText)
    .max(64)
    .default([])
    .describe('Port of the host that leads to it: [ADDRESS:]PORT[-LAST][:PORT][/tcp|/udp], such as 8080:80'),
  accel: Accel.default('auto').describe('How guest instructions are executed'),
  firmware: Firmware.optional().describe('Firmware; the image says which by default'),
  tpm: z.boolean().default(false).describe('A TPM 2.0 of its own'),
  restart: RestartPolicy.default('no').describe('What happens when it ends by itself'),
  autostart: z.boolean().default(false).describe('Start it with the host'),
  removeOnStop: z.boolean().default(false).describe('Remove it when it stops'),
  snapshotPolicy: SnapshotPolicyText.optional().describe(snapshotPolicyHelp),
  hostname: Name.optional().describe('Host name inside; the VM’s name by default'),
  users: z.array(GuestUser).max(32).default([]).describe('Users that cloud-init makes, with sudo and the SSH keys'),
  sshKeys: z.array(sshKey).max(64).default([]).describe('SSH public keys let in (viv passes your own)'),
  userData: Text.max(1 * MiB)
    .optional()
    .describe('cloud-init user data, passed on byte for byte'),
  cdroms: z.array(ImageRef).max(4).default([]).describe('ISO images in its CD drives'),
  boot: z.array(BootDevice).max(3).optional().describe('Boot order'),
});
export type VmOptions = z.infer<typeof VmOptions>;

/** What `set` takes. */
export const VmSettings = z.object({
  cpus: cpus.optional(),
  memoryBytes: memoryBytes.optional(),
  diskBytes: diskBytes.optional().describe('New size of the root disk; it can only grow'),
  accel: Accel.optional(),
  tpm: z.boolean().optional().describe('A TPM 2.0 of its own; what one has kept stays when it is taken out'),
  restart: RestartPolicy.optional(),
  autostart: z.boolean().optional(),
  removeOnStop: z.boolean().optional(),
  snapshotPolicy: SnapshotPolicyText.optional().describe(snapshotPolicyHelp),
  boot: z.array(BootDevice).max(3).optional(),
  cdroms: z.array(ImageRef).max(4).optional(),
});
