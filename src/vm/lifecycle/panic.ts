// The last words of a kernel that panicked. QEMU stops the guest at the instant in which its kernel says that it has panicked, and
// that may be before it has said why: Linux tells the hypervisor first, and only then writes to the console what had to wait there,
// because another of its processes was using it (kernel/panic.c: the notifiers come before console_flush_on_panic).
import { stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { cont, shutDownAtReset } from '../../qemu/command.ts';
import type { VmConnection } from '../connection.ts';
import type { Vm } from '../vm.ts';

export const panicReason = { code: 'guest_panic', message: 'the guest’s kernel panicked' } as const;

/** So long nothing may come before it is taken for silent, and so long it may speak. */
const quietMs = 400;
const limitMs = 3000;
const lookMs = 50;

/** Lets the guest go on until nothing more comes on its serial line. Never throws: a guest that cannot go on has said all. */
export async function hearLastWords(vm: Vm, live: VmConnection): Promise<void> {
  if (vm.record.state !== 'running') return; // a start that is not over yet records what it comes to
  try {
    // What counts for a daemon that takes the VM up while it speaks, and finds it running.
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
