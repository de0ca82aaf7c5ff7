// What can be asked of a VM.
import { z } from 'zod';
import { failures } from './errors.ts';
import { Bytes, MiB, Name, Ref, Text } from './field.ts';
import { defineOperation } from './operation.ts';
import { GuestUser, VmOptions, VmSettings } from './vm-options.ts';
import { Vm, VmState } from './vm-state.ts';

const vm = Ref.describe('Name or id of the VM');
const One = z.object({ vm });

export const create = defineOperation({
  id: 'vm.create',
  method: 'POST',
  path: '/v1/vms',
  permission: 'vm.create',
  task: true,
  summary: 'Create a VM without starting it',
  input: VmOptions,
  output: Vm,
  errors: [...failures.find, 'name_taken', ...failures.files],
  cli: {
    without: { freePageReporting: 'Keep memory that the guest frees' },
    words: 'create',
    section: 'VMs',
    args: ['image', 'name?'],
    custom: true,
  },
});

export const run = defineOperation({
  id: 'vm.run',
  method: 'POST',
  path: '/v1/vms/run',
  permission: 'vm.create',
  task: true,
  summary: 'Create a VM and start it',
  input: VmOptions,
  output: Vm,
  errors: [...failures.find, 'name_taken', ...failures.files, ...failures.start, 'wrong_state'],
  cli: {
    without: { freePageReporting: 'Keep memory that the guest frees' },
    words: 'run',
    section: 'VMs',
    args: ['image', 'name?'],
    flags: { removeOnStop: 'rm' },
    custom: true,
  },
});

export const list = defineOperation({
  id: 'vm.list',
  method: 'GET',
  path: '/v1/vms',
  permission: 'vm.read',
  summary: 'List the VMs',
  input: z.object({ state: VmState.optional().describe('Only VMs in this state') }),
  output: z.array(Vm),
  errors: [],
  cli: { words: 'ls', section: 'VMs', prints: 'vm-table' },
});

export const show = defineOperation({
  id: 'vm.show',
  method: 'GET',
  path: '/v1/vms/{vm}',
  permission: 'vm.read',
  summary: 'Show a VM',
  input: One,
  output: Vm,
  errors: [...failures.find],
  cli: { words: 'show', section: 'VMs', prints: 'vm-sheet', args: ['vm'] },
});

export const set = defineOperation({
  id: 'vm.set',
  method: 'PATCH',
  path: '/v1/vms/{vm}',
  permission: 'vm.set',
  task: true,
  summary: 'Change settings of a VM, and report which apply now and which at the next start',
  input: VmSettings.extend({ vm }),
  output: z.object({
    vm: Vm.describe('The VM afterwards'),
    applied: z.array(z.string()).describe('Settings that changed now'),
    atNextStart: z.array(z.string()).describe('Settings that change at the next start'),
  }),
  errors: [...failures.find, 'wrong_state', ...failures.files, ...failures.qemu],
  cli: { words: 'set', section: 'VMs', args: ['vm'], custom: true },
});

export const rename = defineOperation({
  id: 'vm.rename',
  method: 'POST',
  path: '/v1/vms/{vm}/rename',
  permission: 'vm.rename',
  task: true,
  summary: 'Rename a VM',
  input: z.object({ vm, name: Name.describe('New name of the VM') }),
  output: Vm,
  errors: [...failures.find, 'name_taken'],
  cli: { words: 'rename', section: 'VMs', args: ['vm', 'name'] },
});

export const remove = defineOperation({
  id: 'vm.remove',
  method: 'DELETE',
  path: '/v1/vms/{vm}',
  permission: 'vm.remove',
  risk: 'loss',
  worksWhenDiskFull: true,
  task: true,
  summary: 'Remove a VM and its disks',
  input: z.object({ vm, force: z.boolean().default(false).describe('Stop it first, by force, and remove its templates as well') }),
  output: z.object({ id: z.string().describe('Id it had'), name: Name.describe('Name it had') }),
  errors: [...failures.find, 'wrong_state', 'in_use'],
  cli: { words: 'rm', section: 'VMs', args: ['vm...'], short: { force: 'f' }, confirm: 'Remove {vm} with its disks and snapshots?' },
});

export const start = defineOperation({
  id: 'vm.start',
  method: 'POST',
  path: '/v1/vms/{vm}/start',
  permission: 'vm.start',
  task: true,
  summary: 'Start a VM, or resume a suspended one',
  input: One,
  output: Vm,
  errors: [...failures.find, 'wrong_state', ...failures.start],
  cli: { words: 'start', section: 'VMs', args: ['vm...'] },
});

/** A VM after it was stopped. */
export const Stopped = Vm.extend({
  forced: z.string().nullable().describe('Why its process was ended by force; null: its guest shut down, or it had stopped already'),
});
export type Stopped = z.infer<typeof Stopped>;

export const stop = defineOperation({
  id: 'vm.stop',
  method: 'POST',
  path: '/v1/vms/{vm}/stop',
  permission: 'vm.stop',
  risk: 'disruption',
  worksWhenDiskFull: true,
  task: true,
  summary: 'Stop a VM gracefully, and by force after a timeout',
  input: z.object({
    vm,
    force: z.boolean().default(false).describe('Stop it by force, without asking the guest'),
    timeoutMs: z.int().min(0).max(3_600_000).default(30_000).describe('How long the guest may take to shut down'),
  }),
  output: Stopped,
  errors: [...failures.find, 'wrong_state', 'in_use', ...failures.qemu],
  cli: { words: 'stop', section: 'VMs', prints: 'stopped', args: ['vm...'], short: { force: 'f' } },
});

export const restart = defineOperation({
  id: 'vm.restart',
  method: 'POST',
  path: '/v1/vms/{vm}/restart',
  permission: 'vm.restart',
  risk: 'disruption',
  task: true,
  summary: 'Stop a VM and start it again',
  input: stop.input,
  output: Stopped,
  errors: [...failures.find, 'wrong_state', ...failures.start],
  cli: { words: 'restart', section: 'VMs', prints: 'stopped', args: ['vm...'], short: { force: 'f' } },
});

const verb = <const V extends string>(name: V, summary: string) =>
  defineOperation({
    id: `vm.${name}` as const,
    method: 'POST',
    path: `/v1/vms/{vm}/${name}`,
    permission: `vm.${name}` as const,
    risk: name === 'reset' || name === 'suspend' ? 'disruption' : 'change',
    worksWhenDiskFull: name !== 'suspend',
    task: true,
    summary,
    input: One,
    output: Vm,
    errors: [...failures.find, 'wrong_state', ...failures.qemu, 'no_space', 'corrupt'],
    cli: { words: name, section: 'VMs', args: ['vm...'] },
  });

export const reset = verb('reset', 'Reset a VM, like its reset button');
export const pause = verb('pause', 'Pause the CPUs of a VM; its memory stays');
export const resume = verb('resume', 'Resume a paused VM');
export const suspend = verb('suspend', 'Save the memory of a VM to disk and end its process; start resumes it');

export const fork = defineOperation({
  id: 'vm.fork',
  method: 'POST',
  path: '/v1/vms/{vm}/fork',
  permission: 'vm.fork',
  task: true,
  summary: 'Create VMs that continue from the present state of another one, or from one of its snapshots',
  input: z.object({
    vm,
    snapshot: Text.min(1).max(200).optional().describe('Label or id of one of its snapshots (default: its present state)'),
    count: z.int().min(1).max(1000).default(1).describe('Number of forks'),
    name: z
      .string()
      .max(63)
      .regex(/^[a-z0-9{]([a-z0-9{}-]*[a-z0-9}])?$/, 'a name is made of a-z, 0-9 and -; {} stands for the number')
      .optional()
      .describe('Name of the forks, with {} for the number (default: the VM’s name and a number)'),
    full: z.boolean().default(false).describe('Copy every file: independent, stopped VMs from a stopped VM or a snapshot without memory'),
    tpm: z
      .enum(['copy', 'replace'])
      .default('copy')
      .describe('copy: a TPM with the same keys and sealed data; replace: a new TPM, for stopped forks'),
    removeOnStop: z.boolean().default(false).describe('Remove the forks when they stop'),
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
  cli: { words: 'fork', section: 'Snapshots and forks', args: ['vm'], flags: { removeOnStop: 'rm', snapshot: false }, custom: true },
});

/** ready: what its image is known to reach by itself, such as agent, network and disk. */
export const WaitCondition = z.enum(['running', 'agent', 'network', 'disk', 'cloud-init', 'ready', 'stopped']);
export type WaitCondition = z.infer<typeof WaitCondition>;

export const wait = defineOperation({
  id: 'vm.wait',
  method: 'POST',
  path: '/v1/vms/{vm}/wait',
  permission: 'vm.read',
  audit: false,
  risk: 'none',
  worksWhenDiskFull: true,
  summary: 'Wait until a VM or its guest has reached a condition',
  input: z.object({
    vm,
    for: WaitCondition.default('agent').describe(
      'Condition: running, stopped, agent (its guest agent answers), network (its NICs have their addresses and names resolve), disk (its file system has grown to the disk), cloud-init (it has finished), or ready (what its image is known to reach)',
    ),
    timeoutMs: z.int().min(0).max(3_600_000).default(180_000).describe('How long to wait before it fails'),
  }),
  output: Vm,
  errors: [...failures.find, 'timeout', 'wrong_state', 'no_agent', 'guest_failed', 'unsupported'],
  cli: { words: 'wait', section: 'VMs', args: ['vm'] },
});

/** `exec` and `shell`. Frames after the first are in contract/stream.ts. */
export const exec = defineOperation({
  id: 'vm.exec',
  method: 'GET',
  path: '/v1/vms/{vm}/exec',
  permission: 'vm.exec',
  audit: true,
  transport: 'socket',
  summary: 'Run a command inside a VM',
  input: z.object({
    vm,
    command: z.array(Text).max(4096).default([]).describe('Program and arguments (default: the user’s login shell)'),
    env: z
      .record(z.string().regex(/^[^=\0]+$/), Text)
      .default({})
      .describe('Environment variable of the command'),
    cwd: Text.optional().describe('Working directory of the command'),
    user: GuestUser.optional().describe('User of the guest that runs it (default: root)'),
    terminal: z
      .object({
        rows: z.int().min(1).max(10000).describe('Rows'),
        columns: z.int().min(1).max(10000).describe('Columns'),
        type: Text.max(64).default('xterm-256color').describe('Value of TERM'),
      })
      .optional()
      .describe('Run it on a terminal of this size'),
    stdin: z.boolean().default(true).describe('Whether it reads standard input'),
    timeoutMs: z.int().min(1).optional().describe('Kill the command when it runs longer'),
    waitMs: z.int().min(0).max(3_600_000).default(120_000).describe('How long to wait for the guest agent'),
  }),
  output: z.object({
    exitCode: z.int().nullable().describe('Exit code; null: ended by a signal'),
    signal: z.string().nullable().describe('Signal that ended it'),
  }),
  errors: [...failures.find, ...failures.guest],
  cli: {
    words: 'exec',
    section: 'Inside a VM',
    args: ['vm'],
    without: { stdin: 'Give the command an empty standard input' },
    short: { env: 'e', cwd: 'w', user: 'u' },
    custom: true,
  },
});

export const console = defineOperation({
  id: 'vm.console',
  method: 'GET',
  path: '/v1/vms/{vm}/console',
  permission: 'vm.console',
  audit: true,
  transport: 'socket',
  summary: 'Attach to the serial console of a VM',
  input: z.object({
    vm,
    scrollbackBytes: z
      .int()
      .min(0)
      .max(1 * MiB)
      .default(64 * 1024)
      .describe('Amount of earlier output shown first'),
  }),
  output: z.object({ reason: z.string().describe('Why the session ended') }),
  errors: [...failures.find, 'wrong_state', 'qemu_failed'],
  cli: { words: 'console', section: 'Inside a VM', args: ['vm'], custom: true },
});

export const view = defineOperation({
  id: 'vm.view',
  method: 'GET',
  path: '/v1/vms/{vm}/view',
  permission: 'vm.view',
  audit: true,
  summary: 'Open the screen of a VM, or print where it can be seen',
  input: One,
  output: z.object({ protocol: z.literal('vnc').describe('Protocol'), socket: z.string().describe('Unix socket on the host') }),
  errors: [...failures.find, 'wrong_state'],
  cli: { words: 'view', section: 'Inside a VM', args: ['vm'], custom: true },
});

export const screen = defineOperation({
  id: 'vm.screen',
  method: 'GET',
  path: '/v1/vms/{vm}/screen',
  permission: 'vm.view',
  audit: true,
  transport: 'socket',
  summary: 'Open the screen of a VM over the API: the VNC protocol on channels 0 (to the VM) and 1 (from it)',
  input: One,
  output: z.object({ reason: z.string().describe('Why the session ended') }),
  errors: [...failures.find, 'wrong_state', 'qemu_failed'],
});

export const logs = defineOperation({
  id: 'vm.logs',
  method: 'GET',
  path: '/v1/vms/{vm}/logs',
  permission: 'vm.read',
  transport: 'download',
  summary: 'Print what a VM wrote to its serial console, across restarts',
  input: z.object({
    vm,
    follow: z.boolean().default(false).describe('Continue as output is written'),
    tailBytes: z.int().min(0).optional().describe('Only the last part of this size'),
    source: z.enum(['serial', 'qemu']).default('serial').describe('serial: the guest’s serial console; qemu: messages of its QEMU'),
  }),
  output: z.unknown(),
  errors: [...failures.find],
  cli: { words: 'logs', section: 'Inside a VM', args: ['vm'], short: { follow: 'f' }, custom: true },
});

export const copyIn = defineOperation({
  id: 'vm.copy-in',
  method: 'PUT',
  path: '/v1/vms/{vm}/copy-in',
  permission: 'vm.exec',
  transport: 'upload',
  summary: 'Unpack a tar stream inside a VM',
  input: z.object({
    vm,
    path: Text.min(1).max(4096).describe('Directory in the guest, created if absent'),
    waitMs: z.int().min(0).max(3_600_000).default(120_000).describe('How long to wait for the guest agent'),
  }),
  output: z.object({
    files: z.int().describe('Files and hard links that were created'),
    bytes: Bytes.describe('Bytes of their content'),
    skipped: z.array(z.string()).describe('Entries that were left out (FIFOs and devices), each as NAME: reason, at most 100'),
  }),
  errors: [...failures.find, ...failures.guest],
});

export const copyOut = defineOperation({
  id: 'vm.copy-out',
  method: 'GET',
  path: '/v1/vms/{vm}/copy-out',
  permission: 'vm.exec',
  audit: true,
  transport: 'download',
  summary: 'Read a file or tree of a VM as a tar stream',
  input: z.object({
    vm,
    path: Text.min(1).max(4096).describe('File or directory in the guest'),
    waitMs: z.int().min(0).max(3_600_000).default(120_000).describe('How long to wait for the guest agent'),
  }),
  output: z.unknown(),
  errors: [...failures.find, ...failures.guest],
});
