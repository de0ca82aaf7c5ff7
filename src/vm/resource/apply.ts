// Puts a running VM's limits into force: those of its threads (resource/enforcer.ts), its disks and its balloon.
import { parseDiskLimit } from '../../contract/disk-limit.ts';
import { effective } from '../../contract/resource.ts';
import { setBalloon } from '../../qemu/balloon.ts';
import type { QemuProcess } from '../../qemu/process.ts';
import { setThrottle, throttleTarget } from '../../qemu/throttle.ts';
import { vcpuThreads } from '../../qemu/vcpu.ts';
import { throttleArguments } from '../../resource/disk/throttle.ts';
import type { Enforcer } from '../../resource/enforcer.ts';
import type { VmRuntime } from '../runtime.ts';
import type { Vm } from '../vm.ts';

/** For a process that has just been started or found: its groups go when it has ended. */
export function placeProcess(id: string, process: QemuProcess, enforcer: Enforcer): void {
  void enforcer.place(id, process.pid);
  void process.exited.finally(() => enforcer.remove(id, process.pid));
}

/** Repeatable. @param limitsMayBeGone disks without a limit may have one from before */
export async function applyLimits(
  vm: Vm,
  { qmp, process }: VmRuntime,
  enforcer: Enforcer,
  { limitsMayBeGone = false } = {},
): Promise<void> {
  const { settings, disks } = vm.record;
  const limits = settings.resources.diskLimits.flatMap((text) => parseDiskLimit(text).limit ?? []);
  for (const { id, kind } of disks) {
    if (kind !== 'root' && kind !== 'data') continue;
    const own = limits.filter(({ disk }) => disk === id);
    if (own.length > 0 || limitsMayBeGone) await setThrottle(qmp, throttleArguments(throttleTarget(id), own));
  }
  await enforcer.enforce({
    id: vm.id,
    pid: process.pid,
    vcpuThreads: await vcpuThreads(qmp),
    settings: settings.resources,
    memoryBytes: settings.memoryBytes,
  });
}

/** The balloon takes what is more than its memory. */
export async function applyMemory(vm: Vm, { qmp }: VmRuntime): Promise<void> {
  const { settings, started } = vm.record;
  if (!started?.balloon) return;
  const { memoryMaximumBytes } = effective(started.resources, started);
  await setBalloon(qmp, Math.min(settings.memoryBytes, memoryMaximumBytes));
}

/** Whether the governor may change its memory. */
export const isGoverned = ({ record: { settings, started } }: Vm): boolean => {
  const { memoryMinimumBytes, memoryMaximumBytes } = effective(settings.resources, settings);
  return (started?.balloon ?? false) && memoryMinimumBytes < memoryMaximumBytes;
};
