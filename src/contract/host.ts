// The host: what this VM is and can do, and the daemon's health.
import { z } from 'zod';
import { Bytes, Time } from './field.ts';
import { defineOperation } from './operation.ts';

export const AcceleratorProof = z.object({
  name: z.enum(['kvm', 'tcg']),
  /** True when guest code ran to its end on it, not when a device node exists. */
  works: z.boolean(),
  /** What was seen, for a person. */
  detail: z.string(),
  durationMs: z.number().nullable(),
});

export const Program = z.object({
  name: z.string(),
  path: z.string().nullable(),
  version: z.string().nullable(),
  /** What needs it. */
  purpose: z.string(),
  required: z.boolean(),
  ok: z.boolean(),
  /** The command that installs it; null when it is there. */
  install: z.string().nullable(),
});

export const Host = z.object({
  hostname: z.string(),
  os: z.string(),
  kernel: z.string(),
  arch: z.string(),
  cpus: z.object({ model: z.string(), count: z.int() }),
  memory: z.object({
    totalBytes: Bytes,
    availableBytes: Bytes,
    /** Given to running VMs. */ committedBytes: Bytes,
    /** Held by what stands ready in pools. */ warmPoolBytes: Bytes,
  }),
  storage: z.object({ path: z.string(), totalBytes: Bytes, freeBytes: Bytes, /** Changes are refused below this. */ reserveBytes: Bytes }),
  accelerators: z.array(AcceleratorProof),
  /** What `auto` picks. */
  accelerator: z.enum(['kvm', 'tcg']),
  programs: z.array(Program),
  networks: z.array(z.object({ name: z.string(), detail: z.string() })),
  /** What is missing or limited, one sentence each with the way to mend it. */
  problems: z.array(z.string()),
});
export type Host = z.infer<typeof Host>;

export const Status = z.object({
  version: z.string(),
  pid: z.int(),
  startedAt: Time,
  stateDirectory: z.string(),
  socket: z.string(),
  user: z.string(),
  vms: z.object({ total: z.int(), running: z.int(), broken: z.int() }),
  /** What stands ready in the warm pools, of how many, and the memory of the host that it holds. */
  warmPools: z.object({ ready: z.int(), size: z.int(), memoryBytes: Bytes }),
  tasks: z.object({ running: z.int() }),
  memoryBytes: Bytes,
  /** Why changes are refused now; null when they are not. */
  readOnly: z.string().nullable(),
});
export type Status = z.infer<typeof Status>;

export const show = defineOperation({
  id: 'host.show',
  method: 'GET',
  path: '/v1/host',
  permission: 'host.read',
  summary: 'Say what this host is: accelerator proof, QEMU, CPUs, memory, storage, networks',
  input: z.object({ prove: z.stringbool().or(z.boolean()).default(false).describe('Prove the accelerators again') }),
  output: Host,
  errors: [],
  cli: { words: 'host', section: 'Host', custom: true },
});

export const status = defineOperation({
  id: 'host.status',
  method: 'GET',
  path: '/v1/host/status',
  permission: 'host.read',
  summary: 'Say whether the daemon is well',
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
  summary: 'Stop the daemon; VMs go on',
  input: z.object({}),
  output: z.object({ pid: z.int() }),
  errors: [],
  cli: { words: 'down', section: 'Host', custom: true },
});
