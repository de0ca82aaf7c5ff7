// The share of the host that a VM gets: CPU, memory and disk I/O. The fields of `vm.create`, `vm.run` and `vm.set`, what `vm.show` says of
// them, and the rules between them. 0 and `none` lift a limit.
import { z } from 'zod';
import { sizeText } from './bound.ts';
import { EmulatorPinText, parseVcpuPin, VcpuPinText } from './cpu-pin.ts';
import { DiskLimitText, mergeDiskLimits, parseDiskLimit } from './disk-limit.ts';
import { VivError } from './errors.ts';
import { Bytes, GiB, MiB } from './field.ts';

const mostCpus = 256;
const cpuCount = z.number().min(0).max(mostCpus);
const weight = z.int().min(1, 'a weight is at least 1').max(10_000, 'a weight is at most 10000');
const memory = z
  .int()
  .min(0)
  .max(16384 * GiB, 'a VM has at most 16 TiB of memory');

/** x86-64-v1 to v4 are the levels of the x86-64 psABI; others are QEMU's own names. */
const CpuModel = z
  .string()
  .max(64)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'a CPU model is named like host, x86-64-v2 or Skylake-Server');
const CpuFeature = z
  .string()
  .max(64)
  .regex(/^[+-][a-z0-9][a-z0-9._-]*$/, 'a CPU feature is written like +avx2 or -x2apic');

/** Their values are the defaults. */
export const ResourceSettings = z.object({
  cpuWeight: weight.default(100).describe('Share of CPU time under contention, relative to other VMs'),
  cpuReservation: cpuCount.default(0).describe('CPUs that it gets under contention whatever others do'),
  cpuLimit: cpuCount.default(0).describe('CPUs that its vCPUs use together at most; 0: no limit'),
  cpuBurstMs: z.int().min(0).max(86_400_000).default(0).describe('CPU time that it saves up below its limit and may spend above it'),
  cpuLending: z.boolean().default(false).describe('Lend it CPU above its limit while the host is idle'),
  vcpuPins: z.array(VcpuPinText).max(mostCpus).default([]).describe('Host CPUs of its vCPUs: 2-5 for all, 0=2 or 0-1=2-3 for some'),
  emulatorPin: EmulatorPinText.default('none').describe('Host CPUs of its emulator and I/O threads; none: any'),
  maxCpus: z.int().min(0).max(mostCpus).default(0).describe('vCPUs that it can have while it runs; 0: as many as it starts with'),
  cpuModel: CpuModel.default('default').describe(
    'CPU model: host, x86-64-v1 to x86-64-v4, or one of QEMU’s; default: all that the host has',
  ),
  cpuFeatures: z.array(CpuFeature).max(128).default([]).describe('CPU feature added or removed, such as +avx2 or -x2apic'),
  memoryMinimumBytes: memory
    .default(0)
    .describe('Memory that is reserved for it and never taken away; 0: all of it stays, none is reserved'),
  memoryMaximumBytes: memory.default(0).describe('Memory that it can be given while it runs; 0: as much as it starts with'),
  memoryWeight: weight.default(100).describe('Who gets memory first, and gives it back last, when it is scarce'),
  freePageReporting: z.boolean().default(true).describe('Return memory to the host as soon as the guest frees it'),
  hugepages: z.boolean().default(false).describe('Take its memory from the host’s huge pages; it cannot be forked while it runs'),
  ksm: z.boolean().default(false).describe('Merge equal pages with VMs of the same owner that do so too'),
  ioWeight: weight.default(100).describe('Share of disk time under contention, relative to other VMs'),
  diskLimits: z
    .array(DiskLimitText)
    .max(32)
    .default([])
    .describe('What a disk may do in a second: DISK:iops=N or DISK:bandwidth=SIZE, with /PEAKxTIMEs for bursts; DISK:none'),
});
export type ResourceSettings = z.infer<typeof ResourceSettings>;

const shape = ResourceSettings.shape;
export const resourceFields = Object.keys(shape) as (keyof ResourceSettings)[];
/** For `vm.create` and `vm.run`. */
export const resourceOptions = shape;
/** For `vm.set`: what is absent stays as it is. */
export const resourceChanges = Object.fromEntries(
  Object.entries(shape).map(([name, field]) => [
    name,
    field
      .unwrap()
      .optional()
      .describe(field.description ?? ''),
  ]),
) as { [Name in keyof typeof shape]: z.ZodOptional<ReturnType<(typeof shape)[Name]['unwrap']>> };

export const ResourceUse = z.object({
  cpuLimitNow: z
    .number()
    .nullable()
    .describe('CPUs that its vCPUs may use together now; null: no limit. Above its limit while it spends credit or is lent CPU'),
  cpuCreditMs: z.number().nullable().describe('CPU time that it has saved up; null: its limit has no burst'),
  memoryBytes: Bytes.nullable().describe('Memory that its balloon leaves it; null: not known'),
  notEnforced: z.array(z.string()).describe('What is set and not enforced on this host, each with its reason'),
});
export type ResourceUse = z.infer<typeof ResourceUse>;

/** The values that are in force where a setting is 0 or `none`. */
export function effective(settings: ResourceSettings, { cpus, memoryBytes }: { cpus: number; memoryBytes: number }) {
  return {
    maxCpus: settings.maxCpus || cpus,
    memoryMinimumBytes: settings.memoryMinimumBytes || memoryBytes,
    memoryMaximumBytes: settings.memoryMaximumBytes || memoryBytes,
    cpuLimit: settings.cpuLimit || null,
  };
}

/**
 * Settings that contradict each other or that the host cannot have.
 * @param hostCpus numbers of the host's CPUs
 * @param disks ids of the VM's disks
 * @throws invalid, with one sentence
 */
export function checkResources(
  name: string,
  settings: ResourceSettings,
  { cpus, memoryBytes, hostCpus, disks }: { cpus: number; memoryBytes: number; hostCpus: readonly number[]; disks: readonly string[] },
): void {
  const refuse = (why: string): never => {
    throw new VivError('invalid', `${name}: ${why}`);
  };
  const { cpuLimit, cpuReservation, cpuBurstMs } = settings;
  const { maxCpus, memoryMinimumBytes, memoryMaximumBytes } = effective(settings, { cpus, memoryBytes });
  if (cpus > maxCpus) refuse(`${cpus} vCPUs are more than its maximum of ${maxCpus}; raise --max-cpus or give fewer`);
  if (cpuLimit > 0 && cpuLimit < 0.01) refuse(`a CPU limit of ${cpuLimit} is too small; give at least 0.01`);
  if (cpuLimit > 0 && cpuReservation > cpuLimit)
    refuse(`the CPU limit of ${cpuLimit} is below the reservation of ${cpuReservation}; raise the limit or lower the reservation`);
  if (cpuReservation > maxCpus) refuse(`a reservation of ${cpuReservation} CPUs is more than its ${maxCpus} vCPUs can use`);
  if (cpuReservation > hostCpus.length) refuse(`a reservation of ${cpuReservation} CPUs is more than the ${hostCpus.length} of this host`);
  if (cpuBurstMs > 0 && cpuLimit === 0) refuse('a CPU burst needs a limit that it is spent above; set --cpu-limit too');
  if (settings.cpuLending && cpuLimit === 0) refuse('CPU can only be lent above a limit; set --cpu-limit too');
  if (memoryMinimumBytes > memoryMaximumBytes && settings.memoryMinimumBytes > 0)
    refuse(`the memory minimum of ${sizeText(memoryMinimumBytes)} is above the maximum of ${sizeText(memoryMaximumBytes)}`);
  if (settings.memoryMinimumBytes > memoryBytes)
    refuse(`its memory of ${sizeText(memoryBytes)} is below the minimum of ${sizeText(settings.memoryMinimumBytes)}`);
  if (memoryBytes > memoryMaximumBytes)
    refuse(`its memory of ${sizeText(memoryBytes)} is above the maximum of ${sizeText(memoryMaximumBytes)}`);
  if (settings.memoryMinimumBytes > 0 && settings.memoryMinimumBytes < 32 * MiB) refuse('the memory minimum is at least 32 MiB');
  if (settings.hugepages && (settings.memoryMaximumBytes > 0 || settings.memoryMinimumBytes > 0))
    refuse('huge pages cannot be ballooned; leave the memory minimum and maximum out');
  if (settings.hugepages && settings.ksm) refuse('huge pages are not merged; leave hugepages or ksm out');
  for (const text of settings.vcpuPins) {
    const pin = parseVcpuPin(text);
    checkCpus(name, text, pin.cpus, hostCpus);
    const absent = pin.vcpus?.find((vcpu) => vcpu >= maxCpus);
    if (absent !== undefined) refuse(`the pin ${text} names vCPU ${absent}, and it has ${maxCpus} (0 to ${maxCpus - 1})`);
  }
  if (settings.emulatorPin !== 'none') checkCpus(name, settings.emulatorPin, parseVcpuPin(settings.emulatorPin).cpus, hostCpus);
  for (const text of settings.diskLimits) {
    const { disk } = parseDiskLimit(text);
    if (!disks.includes(disk)) refuse(`the limit ${text} names a disk that it does not have; it has ${disks.join(', ') || 'none'}`);
  }
}

function checkCpus(name: string, text: string, cpus: readonly number[], hostCpus: readonly number[]): void {
  const absent = cpus.find((cpu) => !hostCpus.includes(cpu));
  if (absent !== undefined)
    throw new VivError(
      'invalid',
      `${name}: the pin ${text} names CPU ${absent}, and this host has ${hostCpus.length} (${hostCpus.join(', ')})`,
    );
}

export const mergeResources = (before: ResourceSettings, changes: Partial<ResourceSettings>): ResourceSettings => ({
  ...before,
  ...changes,
  ...(changes.diskLimits ? { diskLimits: mergeDiskLimits([...before.diskLimits, ...changes.diskLimits]) } : {}),
});
