// The agent that files are copied through: ours, for qemu-guest-agent has no streams. In a guest that has just been started it may answer later than that.
import type { Vm } from '../../vm/vm.ts';

const youngMs = 120_000;

export function copyAgent(vm: Vm, waitMs: number, signal: AbortSignal) {
  const live = vm.alive();
  const isYoung = Date.now() - (vm.record.startedAt ?? 0) < youngMs;
  return isYoung ? live.waitForOwnAgent(waitMs, signal) : live.waitForAgent(waitMs, signal);
}
