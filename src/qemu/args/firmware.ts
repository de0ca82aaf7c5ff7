// UEFI in flash: the code is shared and read-only, the variables are the VM's own qcow2 so that they can be snapshotted.
import type { QemuConfig } from '../config.ts';
import { json } from './json.ts';

export function firmwareArguments(firmware: QemuConfig['firmware']): string[] {
  if (firmware.type === 'bios') return [];
  return [
    ...json('-blockdev', { driver: 'file', 'node-name': 'firmware-code-file', filename: firmware.code, 'read-only': true }),
    ...json('-blockdev', { driver: 'raw', 'node-name': 'firmware-code', file: 'firmware-code-file', 'read-only': true }),
    ...json('-blockdev', { driver: 'file', 'node-name': 'firmware-vars-file', filename: firmware.vars }),
    ...json('-blockdev', { driver: 'qcow2', 'node-name': 'firmware-vars', file: 'firmware-vars-file' }),
    ...['-machine', 'pflash0=firmware-code,pflash1=firmware-vars'],
  ];
}
