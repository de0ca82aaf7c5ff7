// Pause, resume and reset: a running VM's CPUs.
import { cont, stop as stopCpus, systemReset } from '../../qemu/command.ts';
import type { Vm } from '../vm.ts';

export async function pause(vm: Vm): Promise<void> {
  await stopCpus(vm.alive().qmp);
  await vm.setState('paused', null);
}

export async function resume(vm: Vm): Promise<void> {
  const live = vm.alive();
  const reason = vm.record.stateReason;
  // Recorded first: on a disk that is still full QEMU pauses the guest again at once, and that has to be recorded after this.
  await vm.setState('running', null);
  try {
    await cont(live.qmp);
  } catch (error) {
    if (vm.live === live) await vm.setState('paused', reason);
    throw error;
  }
  // The guest's clock was paused too. Not waited for: later requests to its agent come after it, and without an agent the guest's own time
  // service corrects the clock.
  void live.agent?.configure({ timeMs: Date.now() }).catch(() => {});
}

export async function reset(vm: Vm): Promise<void> {
  const { qmp } = vm.alive();
  await systemReset(qmp);
  if (vm.record.state === 'paused') await resume(vm);
}
