// `vm.screen`: the VNC socket of a VM's QEMU, carried over the API.
import { VivError } from '../../contract/errors.ts';
import { channel } from '../../contract/stream.ts';
import { decide } from '../../vm/decide.ts';
import { openScreen } from '../../vm/device/screen.ts';
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'vm.screen'> = async ({ vm: vmRef }, { services }, socket) => {
  const vm = services.vms.find(vmRef);
  decide('view', vm);
  const live = vm.alive();
  const screen = await openScreen(vm.paths.vnc);
  const close = () => screen.destroy();
  socket.closed.addEventListener('abort', close, { once: true });
  try {
    socket.onData((from, bytes) => {
      if (from !== channel.stdin || bytes.length === 0 || screen.write(bytes)) return;
      socket.pause();
      screen.once('drain', () => socket.resume());
    });
    socket.control({ type: 'started', pid: null });
    for await (const bytes of screen) await socket.send(channel.stdout, bytes as Buffer);
    return { reason: live.ended.aborted ? 'the VM ended' : 'the screen was closed' };
  } catch (error) {
    if (socket.closed.aborted) return { reason: 'detached' };
    throw new VivError('qemu_failed', `the screen of ${vm.name} was lost: ${(error as Error).message}`, { cause: error });
  } finally {
    socket.closed.removeEventListener('abort', close);
    screen.destroy();
  }
};
