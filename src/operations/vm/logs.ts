// `vm.logs`: serial output across restarts, or QEMU's own words.
import { Readable } from 'node:stream';
import { followLog, readLog } from '../../vm/device/serial-log.ts';
import type { Vm } from '../../vm/vm.ts';
import type { HandlerOf } from '../handler.ts';
import type { Services } from '../services.ts';

export const handler: HandlerOf<'vm.logs'> = async ({ vm: vmRef, follow, tailBytes, source }, { services, signal }) => {
  const vm = services.vms.findAny(vmRef);
  const file = source === 'qemu' ? vm.paths.qemuLog : vm.paths.serialLog;
  const tail = tailBytes === undefined ? {} : { tailBytes };
  const bytes = follow
    ? followLog(file, { signal: AbortSignal.any([signal, removalOf(vm, services, signal)]), ...tail })
    : readLog(file, tailBytes);
  return { stream: Readable.from(bytes, { objectMode: false }), contentType: 'application/octet-stream' };
};

/** Aborts when the VM has been removed; `signal` ends the watching. */
function removalOf(vm: Vm, { vms }: Services, signal: AbortSignal): AbortSignal {
  const removal = new AbortController();
  vm.until(() => vms.byId(vm.id) === undefined, signal).then(
    () => removal.abort(),
    () => {}, // the reader has gone
  );
  return removal.signal;
}
