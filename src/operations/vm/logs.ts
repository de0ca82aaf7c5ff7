// `vm.logs`: serial output across restarts, or QEMU's own words.
import { Readable } from 'node:stream';
import { followLog, readLog } from '../../machine/serial-log.ts';
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'vm.logs'> = async ({ vm, follow, tailBytes, source }, { services, signal }) => {
  const { paths } = services.machines.find(vm);
  const file = source === 'qemu' ? paths.qemuLog : paths.serialLog;
  const bytes = follow ? followLog(file, { signal, ...(tailBytes === undefined ? {} : { tailBytes }) }) : readLog(file, tailBytes);
  return { stream: Readable.from(bytes, { objectMode: false }), contentType: 'application/octet-stream' };
};
