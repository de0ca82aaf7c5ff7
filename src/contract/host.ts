// The host: what it is and can do, and the daemon's health.
import { z } from 'zod';
import { Bytes, Time } from './field.ts';
import { defineOperation } from './operation.ts';

export const AcceleratorProof = z.object({
  name: z.enum(['kvm', 'tcg']).describe('Accelerator'),
  works: z.boolean().describe('Whether a probe guest ran to its end under it'),
  detail: z.string().describe('What was found, for a person'),
  durationMs: z.number().nullable().describe('How long the probe took'),
});

export const Program = z.object({
  name: z.string().describe('Name of the program'),
  path: z.string().nullable().describe('Where it is; null: not found'),
  version: z.string().nullable().describe('Its version'),
  purpose: z.string().describe('What needs it'),
  required: z.boolean().describe('Whether Vivarium does not work without it'),
  ok: z.boolean().describe('Whether it is there and new enough'),
  install: z.string().nullable().describe('Command that installs it; null: it is there'),
});

export const Host = z.object({
  hostname: z.string().describe('Host name'),
  os: z.string().describe('Operating system'),
  kernel: z.string().describe('Kernel version'),
  arch: z.string().describe('Architecture'),
  cpus: z.object({ model: z.string().describe('Model'), count: z.int().describe('Number of CPUs') }).describe('CPUs of the host'),
  memory: z
    .object({
      totalBytes: Bytes.describe('All memory'),
      availableBytes: Bytes.describe('Memory available to programs'),
      committedBytes: Bytes.describe('Memory given to running VMs'),
      warmPoolBytes: Bytes.describe('Memory that ready VMs of warm pools take'),
    })
    .describe('Memory of the host'),
  capacity: z
    .object({
      reservableBytes: Bytes.describe('What memory minimums may add up to: all memory less the host’s reserve'),
      reservedBytes: Bytes.describe('Memory that running VMs have reserved'),
      givableBytes: Bytes.describe('What running VMs may be given: the reservable memory times the overcommit ratio'),
      givenBytes: Bytes.describe('Memory given to running VMs; a fork counts with what it does not share'),
      overcommitRatio: z.number().describe('Memory that may be given, as a multiple of what the host has'),
      vcpus: z.int().describe('vCPUs of running VMs'),
      reservedCpus: z.number().describe('CPUs that running VMs have reserved'),
      more: z
        .array(z.object({ like: z.string().describe('Name of a VM'), count: z.int().describe('How many more VMs like it fit') }))
        .describe('How many more VMs could be started now'),
    })
    .describe('What VMs have been promised, and can be promised'),
  storage: z
    .object({
      path: z.string().describe('State directory'),
      totalBytes: Bytes.describe('Size of its file system'),
      freeBytes: Bytes.describe('Free space'),
      reserveBytes: Bytes.describe('Changes are refused when less is free'),
    })
    .describe('Where state and disks are'),
  accelerators: z.array(AcceleratorProof).describe('Accelerators and whether they work'),
  accelerator: z.enum(['kvm', 'tcg']).describe('Accelerator that auto picks'),
  programs: z.array(Program).describe('Programs that Vivarium uses'),
  networks: z
    .array(z.object({ name: z.string().describe('Kind of network'), detail: z.string().describe('Whether VMs can have it, and why not') }))
    .describe('Networks that VMs can have on this host'),
  problems: z.array(z.string()).describe('What is missing or limited, a sentence each that says how to repair it'),
});
export type Host = z.infer<typeof Host>;

export const Status = z.object({
  version: z.string().describe('Version of the daemon'),
  pid: z.int().describe('Process id of the daemon'),
  startedAt: Time.describe('When the daemon started'),
  stateDirectory: z.string().describe('State directory'),
  socket: z.string().describe('API socket'),
  user: z.string().describe('User the daemon runs as'),
  vms: z
    .object({
      total: z.int().describe('All VMs'),
      running: z.int().describe('Running VMs'),
      broken: z.int().describe('Broken VMs'),
    })
    .describe('Number of VMs'),
  warmPools: z
    .object({
      ready: z.int().describe('VMs that are ready'),
      size: z.int().describe('VMs to be kept ready'),
      memoryBytes: Bytes.describe('Memory of the host that the ready VMs take'),
    })
    .describe('All warm pools together'),
  tasks: z.object({ running: z.int().describe('Running tasks') }).describe('Number of tasks'),
  memoryBytes: Bytes.describe('Resident memory of the daemon'),
  readOnly: z.string().nullable().describe('Why changes are refused now; null: they are not'),
});
export type Status = z.infer<typeof Status>;

export const show = defineOperation({
  id: 'host.show',
  method: 'GET',
  path: '/v1/host',
  permission: 'host.read',
  summary: 'Show what this host has: accelerator, QEMU, CPUs, memory, storage, networks',
  input: z.object({ prove: z.stringbool().or(z.boolean()).default(false).describe('Probe the accelerators again') }),
  output: Host,
  errors: [],
  cli: { words: 'host', section: 'Host', custom: true },
});

export const status = defineOperation({
  id: 'host.status',
  method: 'GET',
  path: '/v1/host/status',
  permission: 'host.read',
  summary: 'Show the health of the daemon',
  input: z.object({}),
  output: Status,
  errors: [],
  cli: { words: 'status', section: 'Host', custom: true },
});

export const shutdown = defineOperation({
  id: 'host.shutdown',
  method: 'POST',
  path: '/v1/host/shutdown',
  permission: 'host.shutdown',
  risk: 'disruption',
  worksWhenDiskFull: true,
  summary: 'Stop the daemon; VMs keep running',
  input: z.object({}),
  output: z.object({ pid: z.int().describe('Process id of the daemon that stops') }),
  errors: [],
  cli: { words: 'down', section: 'Host', custom: true },
});
