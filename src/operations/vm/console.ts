// `vm.console`: the serial line, for any number of watchers at once.
import { setTimeout as delay } from 'node:timers/promises';
import { channel } from '../../contract/stream.ts';
import { decide } from '../../vm/decide.ts';
import { followLog } from '../../vm/device/serial-log.ts';
import type { HandlerOf } from '../handler.ts';

/** A guest that writes without a pause is sent in frames of this distance: each frame costs daemon and client more than its bytes do. */
const frameEveryMs = 25;
/** Backlog, which is sent as fast as it is read. */
const fullFrame = 65_536;

export const handler: HandlerOf<'vm.console'> = async ({ vm: vmRef, scrollbackBytes }, { services }, socket) => {
  const vm = services.vms.find(vmRef);
  decide('console', vm);
  const live = vm.alive();
  const line = vm.serial.attach();
  const gone = AbortSignal.any([socket.closed, live.ended]);
  try {
    socket.onData((from, bytes) => {
      if (from !== channel.stdin || bytes.length === 0) return;
      socket.pause();
      void line
        .write(bytes)
        .catch((error: unknown) => services.log.warn({ error, vm: vm.name }, 'the serial line took no input'))
        .finally(() => socket.resume());
    });
    socket.control({ type: 'started', pid: null });
    const pace = pacer(frameEveryMs);
    for await (const bytes of followLog(vm.paths.serialLog, { tailBytes: scrollbackBytes, signal: gone })) {
      await socket.send(channel.stdout, bytes);
      if (bytes.length < fullFrame) await pace(gone);
    }
    return { reason: live.ended.aborted ? 'the VM ended' : 'detached' };
  } finally {
    line.release();
  }
};

/** Waits until `everyMs` have passed since it last returned; after a pause it does not wait, so that an echo is shown immediately. */
function pacer(everyMs: number): (signal: AbortSignal) => Promise<void> {
  let last = 0;
  return async (signal) => {
    const left = last + everyMs - performance.now();
    if (left > 0) await delay(left, undefined, { signal }).catch(() => {});
    last = performance.now();
  };
}
