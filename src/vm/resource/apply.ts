// Puts a running VM's limits into force: those of its threads (resource/enforcer.ts), its disks and its balloon.
import { parseDiskLimit } from '../../contract/disk-limit.ts';
import { effective } from '../../contract/resource.ts';
import { setBalloon } from '../../qemu/balloon.ts';
import type { QemuProcess } from '../../qemu/process.ts';
import { setThrottle, throttleTarget } from '../../qemu/throttle.ts';
import { vcpuThreads } from '../../qemu/vcpu.ts';
import { throttleArguments } from '../../resource/disk/throttle.ts';
import type { VmConnection } from '../connection.ts';
import type { Uses } from '../services.ts';
import type { Vm } from '../vm.ts';

/** For a process that has just been started or found: its groups go when it has ended. */
export function placeProcess(id: string, process: QemuProcess, { resources: { enforcer } }: Uses<'resources'>): void {
  void enforcer.place(id, process.pid);
  void process.exited.finally(() => enforcer.remove(id, process.pid));
}

/** Limits of disks are sent before this returns, so that they hold before a command sent afterwards; those of threads follow. */
export async function applyLimits(
  vm: Vm,
  { qmp, process }: VmConnection,
  { resources: { enforcer } }: Uses<'resources'>,
  { limitsMayBeGone = false } = {},
): Promise<void> {
  const { settings, disks } = vm.record;
  const limits = settings.resources.diskLimits.flatMap((text) => parseDiskLimit(text).limit ?? []);
  const own = disks.filter(({ kind }) => kind === 'root' || kind === 'data');
  const throttled = own.map(({ id }) => ({ id, limits: limits.filter(({ disk }) => disk === id) }));
  const sent = throttled.filter((disk) => disk.limits.length > 0 || limitsMayBeGone);
  const [threads] = await Promise.all([
    vcpuThreads(qmp),
    ...sent.map((disk) => setThrottle(qmp, throttleArguments(throttleTarget(disk.id), disk.limits))),
  ]);
  await enforcer.enforce({
    id: vm.id,
    pid: process.pid,
    vcpuThreads: threads,
    settings: settings.resources,
    memoryBytes: settings.memoryBytes,
  });
}

/** The balloon takes what is more than its memory. */
export async function applyMemory(vm: Vm, { qmp }: VmConnection): Promise<void> {
  const { settings, started } = vm.record;
  if (!started?.balloon) return;
  const { memoryMaximumBytes } = effective(started.resources, started);
  await setBalloon(qmp, Math.min(settings.memoryBytes, memoryMaximumBytes));
}

/** As its guest is about to run. What cannot be put into force is reported, and the VM runs without it. */
export function beginLimits(vm: Vm, live: VmConnection, services: Uses<'resources'>): void {
  void applyLimits(vm, live, services).catch((error: unknown) => reportFailure(vm, live, error));
}

/** Once its guest runs. */
export function beginBalloon(vm: Vm, live: VmConnection): void {
  const { balloon } = live;
  if (balloon === null) return;
  const begin = async () => {
    if (vm.record.started && vm.record.started.resources.memoryMaximumBytes > 0) await applyMemory(vm, live);
    await balloon.begin(isGoverned(vm));
    live.pressure?.begin(isGoverned(vm));
  };
  void begin().catch((error: unknown) => reportFailure(vm, live, error));
}

/** For a VM that ran before this daemon did: its balloon stays where it is. */
export function adoptLimits(vm: Vm, live: VmConnection, services: Uses<'resources'>): void {
  placeProcess(vm.id, live.process, services);
  beginLimits(vm, live, services);
  void live.balloon?.begin(isGoverned(vm)).catch((error: unknown) => reportFailure(vm, live, error));
  live.pressure?.begin(isGoverned(vm));
}

function reportFailure(vm: Vm, live: VmConnection, error: unknown): void {
  if (vm.live === live) vm.report('vm.problem', `its limits could not be put into force: ${(error as Error).message}`);
}

/** Whether the governor may change its memory. */
export const isGoverned = ({ record: { settings, started } }: Vm): boolean => {
  const { memoryMinimumBytes, memoryMaximumBytes } = effective(settings.resources, settings);
  return (started?.balloon ?? false) && memoryMinimumBytes < memoryMaximumBytes;
};
