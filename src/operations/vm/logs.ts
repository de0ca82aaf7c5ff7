// `vm.logs`: serial output across restarts, or QEMU's own words.
import { Readable } from 'node:stream';
import type { HandlerOf } from '../../task/handler.ts';
import { followLog, readLog } from '../../vm/device/serial-log.ts';
import type { Machine } from '../../vm/vm.ts';
import type { Services } from '../services.ts';

export const handler: HandlerOf<'vm.logs'> = async ({ vm, follow, tailBytes, source }, { services, signal }) => {
  const machine = services.machines.find(vm);
  const file = source === 'qemu' ? machine.paths.qemuLog : machine.paths.serialLog;
  const tail = tailBytes === undefined ? {} : { tailBytes };
  const bytes = follow
    ? followLog(file, { signal: AbortSignal.any([signal, removalOf(machine, services, signal)]), ...tail })
    : readLog(file, tailBytes);
  return { stream: Readable.from(bytes, { objectMode: false }), contentType: 'application/octet-stream' };
};

/** Aborts when the machine has been removed; `signal` ends the watching. */
function removalOf(machine: Machine, { machines }: Services, signal: AbortSignal): AbortSignal {
  const removal = new AbortController();
  machine
    .until(() => machines.byId(machine.id) === undefined, signal)
    .then(
      () => removal.abort(),
      () => {}, // the reader has gone
    );
  return removal.signal;
}
