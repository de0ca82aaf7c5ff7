// The last output of a kernel that panicked. QEMU pauses the guest as soon as the kernel reports its panic, which may be before the reason
// is on the console: Linux notifies the hypervisor first and only then flushes the console (kernel/panic.c: notifiers run before
// console_flush_on_panic).
import { stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { cont, shutDownAtReset } from '../../qemu/command.ts';
import type { VmConnection } from '../connection.ts';
import type { Vm } from '../vm.ts';

export const panicReason = { code: 'guest_panic', message: 'the guest’s kernel panicked' } as const;

/** The output is complete after this long without any, in ms; it may last this long in all. */
const quietMs = 400;
const limitMs = 3000;
const lookMs = 50;

/** Continues the guest until its serial line is quiet. Never throws: a guest that cannot continue has written everything. */
export async function awaitLastOutput(vm: Vm, live: VmConnection): Promise<void> {
  if (vm.record.state !== 'running') return; // a start that is not complete records its own outcome
  try {
    // For a daemon that adopts the VM in the meantime, and finds it running.
    await vm.setState('running', panicReason);
    await shutDownAtReset(live.qmp);
    if (vm.runtime.state.is === 'frozen' || vm.runtime.isEndExpected || vm.live !== live) return;
    await cont(live.qmp);
    await silence(vm.paths.serialLog, live);
  } catch {}
}

/** @throws when the VM has ended */
async function silence(log: string, { ended }: VmConnection): Promise<void> {
  const size = () => stat(log).then(({ size }) => size);
  const begun = Date.now();
  for (let last = await size(), since = begun; ; ) {
    await delay(lookMs, undefined, { signal: ended });
    const [now, at] = [await size(), Date.now()];
    if (now !== last) since = at;
    last = now;
    if (at - since >= quietMs || at - begun >= limitMs) return;
  }
}
