// `vm.console`: the serial line, for any number of watchers at once.
import { channel } from '../../contract/stream.ts';
import { decide } from '../../vm/decide.ts';
import { followLog } from '../../vm/device/serial-log.ts';
import type { HandlerOf } from '../handler.ts';

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
    for await (const bytes of followLog(vm.paths.serialLog, { tailBytes: scrollbackBytes, signal: gone }))
      await socket.send(channel.stdout, bytes);
    return { reason: live.ended.aborted ? 'the VM ended' : 'detached' };
  } finally {
    line.release();
  }
};
