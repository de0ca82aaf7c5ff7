// Virtual VMs: what one is, and what can be asked of it. Which verb its state allows is in vm-verdicts.ts.
import { z } from 'zod';
import { failures } from './errors.ts';
import { Arch, Bytes, GiB, ImageRef, MiB, Name, Ref, Text, Time } from './field.ts';
import { ForwardText } from './forward.ts';
import { Nic, NicText } from './nic.ts';
import { defineOperation } from './operation.ts';
import { SnapshotPolicyText } from './snapshot-policy.ts';

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
  at: Time,
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
  snapshots: z.string().nullable(),
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
const User = z
  .string()
  .max(32)
  .regex(/^[a-z_][a-z0-9_-]*$/, 'a user name is made of a-z, 0-9, _ and -');

const snapshotsHelp = 'Automatic snapshots, such as "every 10 min keep 12, hourly keep 24, before risky operations"; none: no more';

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
  snapshots: SnapshotPolicyText.optional().describe(snapshotsHelp),
  hostname: Name.optional().describe('Host name inside; the VM’s name by default'),
  users: z.array(User).max(32).default([]).describe('Users that cloud-init makes, with sudo and the SSH keys'),
  sshKeys: z.array(sshKey).max(64).default([]).describe('SSH public keys let in (viv passes your own)'),
  userData: Text.max(1 * MiB)
    .optional()
    .describe('cloud-init user data, passed on byte for byte'),
  cdroms: z.array(ImageRef).max(4).default([]).describe('ISO images in its CD drives'),
  boot: z.array(BootDevice).max(3).optional().describe('Boot order'),
});
export type VmOptions = z.infer<typeof VmOptions>;

const vm = Ref.describe('Name or id');
const One = z.object({ vm });

export const create = defineOperation({
  id: 'vm.create',
  method: 'POST',
  path: '/v1/vms',
  role: 'operator',
  task: true,
  summary: 'Make a VM without starting it',
  input: VmOptions,
  output: Vm,
  errors: [...failures.find, 'name_taken', ...failures.files],
  cli: { command: 'create', args: ['image', 'name?'], custom: true },
});

export const run = defineOperation({
  id: 'vm.run',
  method: 'POST',
  path: '/v1/run',
  role: 'operator',
  task: true,
  summary: 'Make a VM and start it',
  input: VmOptions,
  output: Vm,
  errors: [...failures.find, 'name_taken', ...failures.files, ...failures.start, 'wrong_state'],
  cli: { command: 'run', args: ['image', 'name?'], flags: { removeOnStop: 'rm' }, custom: true },
});

export const list = defineOperation({
  id: 'vm.list',
  method: 'GET',
  path: '/v1/vms',
  role: 'viewer',
  summary: 'List VMs',
  input: z.object({ state: VmState.optional().describe('Only VMs in this state') }),
  output: z.array(Vm),
  errors: [],
  cli: { command: 'ls', custom: true },
});

export const show = defineOperation({
  id: 'vm.show',
  method: 'GET',
  path: '/v1/vms/{vm}',
  role: 'viewer',
  summary: 'Show one VM',
  input: One,
  output: Vm,
  errors: [...failures.find],
  cli: { command: 'show', args: ['vm'] },
});

export const set = defineOperation({
  id: 'vm.set',
  method: 'PATCH',
  path: '/v1/vms/{vm}',
  role: 'operator',
  task: true,
  summary: 'Change settings and say what applies now and what at the next start',
  input: z.object({
    vm,
    cpus: cpus.optional(),
    memoryBytes: memoryBytes.optional(),
    diskBytes: diskBytes.optional().describe('New size of the root disk; it can only grow'),
    accel: Accel.optional(),
    tpm: z.boolean().optional().describe('A TPM 2.0 of its own; what one has kept stays when it is taken out'),
    restart: RestartPolicy.optional(),
    autostart: z.boolean().optional(),
    removeOnStop: z.boolean().optional(),
    snapshots: SnapshotPolicyText.optional().describe(snapshotsHelp),
    boot: z.array(BootDevice).max(3).optional(),
    cdroms: z.array(ImageRef).max(4).optional(),
  }),
  output: z.object({ vm: Vm, applied: z.array(z.string()), atNextStart: z.array(z.string()) }),
  errors: [...failures.find, 'wrong_state', ...failures.files, ...failures.qemu],
  cli: { command: 'set', args: ['vm'], custom: true },
});

export const rename = defineOperation({
  id: 'vm.rename',
  method: 'POST',
  path: '/v1/vms/{vm}/rename',
  role: 'operator',
  task: true,
  summary: 'Give a VM another name',
  input: z.object({ vm, name: Name.describe('New name') }),
  output: Vm,
  errors: [...failures.find, 'name_taken'],
  cli: { command: 'rename', args: ['vm', 'name'] },
});

export const remove = defineOperation({
  id: 'vm.remove',
  method: 'DELETE',
  path: '/v1/vms/{vm}',
  role: 'operator',
  task: true,
  summary: 'Remove a VM and its disks',
  input: z.object({ vm, force: z.boolean().default(false).describe('Stop it first, at once, and take its templates too') }),
  output: z.object({ id: z.string(), name: Name }),
  errors: [...failures.find, 'wrong_state', 'in_use'],
  cli: { command: 'rm', args: ['vm...'], short: { force: 'f' }, confirm: 'Remove {vm} with its disks and snapshots?' },
});

export const start = defineOperation({
  id: 'vm.start',
  method: 'POST',
  path: '/v1/vms/{vm}/start',
  role: 'operator',
  task: true,
  summary: 'Start a VM, or wake a suspended one',
  input: One,
  output: Vm,
  errors: [...failures.find, 'wrong_state', ...failures.start],
  cli: { command: 'start', args: ['vm...'] },
});

export const stop = defineOperation({
  id: 'vm.stop',
  method: 'POST',
  path: '/v1/vms/{vm}/stop',
  role: 'operator',
  task: true,
  summary: 'Stop a VM: politely, and firmly after a deadline',
  input: z.object({
    vm,
    force: z.boolean().default(false).describe('Do not ask the guest'),
    timeoutMs: z.int().min(0).max(3_600_000).default(30_000).describe('How long the guest may take'),
  }),
  output: Vm,
  errors: [...failures.find, 'wrong_state', 'in_use', ...failures.qemu],
  cli: { command: 'stop', args: ['vm...'], short: { force: 'f' } },
});

export const restart = defineOperation({
  id: 'vm.restart',
  method: 'POST',
  path: '/v1/vms/{vm}/restart',
  role: 'operator',
  task: true,
  summary: 'Stop a VM and start it again',
  input: stop.input,
  output: Vm,
  errors: [...failures.find, 'wrong_state', ...failures.start],
  cli: { command: 'restart', args: ['vm...'], short: { force: 'f' } },
});

const verb = <const V extends string>(name: V, summary: string) =>
  defineOperation({
    id: `vm.${name}` as const,
    method: 'POST',
    path: `/v1/vms/{vm}/${name}`,
    role: 'operator',
    task: true,
    summary,
    input: One,
    output: Vm,
    errors: [...failures.find, 'wrong_state', ...failures.qemu, 'no_space'],
    cli: { command: name, args: ['vm...'] },
  });

export const reset = verb('reset', 'Reset a VM as its reset button would');
export const pause = verb('pause', 'Stop a VM’s CPUs; its memory stays');
export const resume = verb('resume', 'Let a paused VM go on');
export const suspend = verb('suspend', 'Save a VM’s memory to disk and end its process; start wakes it');

export const fork = defineOperation({
  id: 'vm.fork',
  method: 'POST',
  path: '/v1/vms/{vm}/fork',
  role: 'operator',
  task: true,
  summary: 'Make VMs that go on from where a running one is, or from one of its snapshots',
  input: z.object({
    vm,
    snapshot: Text.min(1).max(200).optional().describe('Label or id of one of its snapshots; its present state by default'),
    count: z.int().min(1).max(1000).default(1).describe('How many'),
    name: z
      .string()
      .max(63)
      .regex(/^[a-z0-9{]([a-z0-9{}-]*[a-z0-9}])?$/, 'a name is made of a-z, 0-9 and -; {} stands for the number')
      .optional()
      .describe('Name, with {} for the number; the VM’s name and a number by default'),
    full: z
      .boolean()
      .default(false)
      .describe('Copy every file: stopped VMs that stand alone, from a stopped one or a snapshot without memory'),
    tpm: z
      .enum(['copy', 'replace'])
      .default('copy')
      .describe('copy: the same TPM, with its keys and all that is sealed; replace: new ones, for forks that are stopped'),
    removeOnStop: z.boolean().default(false).describe('Remove them when they stop'),
  }),
  output: z.array(Vm),
  errors: [
    'invalid',
    'not_found',
    'ambiguous',
    'name_taken',
    'wrong_state',
    'no_space',
    'no_memory',
    'qemu_failed',
    'corrupt',
    'unsupported',
    'missing_program',
    'no_accelerator',
    'in_use',
    'timeout',
  ],
  cli: { command: 'fork', args: ['vm'], flags: { removeOnStop: 'rm', snapshot: false }, custom: true },
});

export const wait = defineOperation({
  id: 'vm.wait',
  method: 'POST',
  path: '/v1/vms/{vm}/wait',
  role: 'viewer',
  summary: 'Wait until a VM has reached a condition',
  input: z.object({
    vm,
    for: z.enum(['running', 'agent', 'stopped']).default('agent').describe('agent: its guest agent answers'),
    timeoutMs: z.int().min(0).max(3_600_000).default(180_000),
  }),
  output: Vm,
  errors: [...failures.find, 'timeout', 'wrong_state'],
  cli: { command: 'wait', args: ['vm'] },
});

/** `exec` and `shell`. Frames after the first are in contract/stream.ts. */
export const exec = defineOperation({
  id: 'vm.exec',
  method: 'GET',
  path: '/v1/vms/{vm}/exec',
  role: 'operator',
  transport: 'socket',
  summary: 'Run a command inside a VM',
  input: z.object({
    vm,
    command: z.array(Text).max(4096).default([]).describe('Program and arguments; empty: the user’s login shell'),
    env: z
      .record(z.string().regex(/^[^=\0]+$/), Text)
      .default({})
      .describe('Variables of its environment'),
    cwd: Text.optional().describe('Directory it runs in'),
    user: User.optional().describe('Run as this user of the guest; root by default'),
    terminal: z
      .object({ rows: z.int().min(1).max(10000), columns: z.int().min(1).max(10000), type: Text.max(64).default('xterm-256color') })
      .optional(),
    stdin: z.boolean().default(true).describe('False: its standard input is empty'),
    timeoutMs: z.int().min(1).optional().describe('It is killed when it runs longer'),
    waitMs: z.int().min(0).max(3_600_000).default(120_000).describe('How long to wait for the guest agent'),
  }),
  output: z.object({ exitCode: z.int().nullable(), signal: z.string().nullable() }),
  errors: [...failures.find, ...failures.guest],
  cli: {
    command: 'exec',
    args: ['vm'],
    without: { stdin: 'Give it an empty standard input' },
    short: { env: 'e', cwd: 'w', user: 'u' },
    custom: true,
  },
});

export const console = defineOperation({
  id: 'vm.console',
  method: 'GET',
  path: '/v1/vms/{vm}/console',
  role: 'operator',
  transport: 'socket',
  summary: 'Attach to a VM’s serial line',
  input: z.object({
    vm,
    scrollbackBytes: z
      .int()
      .min(0)
      .max(1 * MiB)
      .default(64 * 1024)
      .describe('Earlier output shown first'),
  }),
  output: z.object({ reason: z.string() }),
  errors: [...failures.find, 'wrong_state', 'qemu_failed'],
  cli: { command: 'console', args: ['vm'], custom: true },
});

export const view = defineOperation({
  id: 'vm.view',
  method: 'GET',
  path: '/v1/vms/{vm}/view',
  role: 'operator',
  summary: 'Say where a VM’s screen can be seen',
  input: One,
  output: z.object({ protocol: z.literal('vnc'), socket: z.string().describe('Unix socket on the host') }),
  errors: [...failures.find, 'wrong_state'],
  cli: { command: 'view', args: ['vm'], custom: true },
});

export const logs = defineOperation({
  id: 'vm.logs',
  method: 'GET',
  path: '/v1/vms/{vm}/logs',
  role: 'viewer',
  transport: 'download',
  summary: 'Read what a VM wrote to its serial line, across restarts',
  input: z.object({
    vm,
    follow: z.boolean().default(false).describe('Go on as it is written'),
    tailBytes: z.int().min(0).optional().describe('Only the last part'),
    source: z.enum(['serial', 'qemu']).default('serial'),
  }),
  output: z.unknown(),
  errors: [...failures.find],
  cli: { command: 'logs', args: ['vm'], short: { follow: 'f' }, custom: true },
});

export const copyIn = defineOperation({
  id: 'vm.copyIn',
  method: 'PUT',
  path: '/v1/vms/{vm}/files',
  role: 'operator',
  transport: 'upload',
  summary: 'Unpack a tar stream inside a VM',
  input: z.object({
    vm,
    path: Text.min(1).max(4096).describe('Directory inside, made if absent'),
    waitMs: z.int().min(0).max(3_600_000).default(120_000),
  }),
  output: z.object({ files: z.int(), bytes: Bytes }),
  errors: [...failures.find, ...failures.guest],
});

export const copyOut = defineOperation({
  id: 'vm.copyOut',
  method: 'GET',
  path: '/v1/vms/{vm}/files',
  role: 'operator',
  transport: 'download',
  summary: 'Read a file or tree from inside a VM as a tar stream',
  input: z.object({
    vm,
    path: Text.min(1).max(4096).describe('File or directory inside'),
    waitMs: z.int().min(0).max(3_600_000).default(120_000),
  }),
  output: z.unknown(),
  errors: [...failures.find, ...failures.guest],
});
