// Disks and CDs: every layer is a named node with an explicit driver, so that no format is ever guessed.
import type { DiskConfig } from '../config.ts';
import { json } from './json.ts';

export function diskArguments(disks: readonly DiskConfig[]): string[] {
  return disks.flatMap((disk) => [...nodes(disk), ...device(disk)]);
}

function nodes(disk: DiskConfig): string[] {
  const readOnly = disk.readOnly;
  return [
    ...json('-blockdev', {
      driver: 'file',
      'node-name': `${disk.id}-file`,
      filename: disk.file,
      'read-only': readOnly,
      'auto-read-only': false,
      ...(readOnly ? { locking: 'off' } : {}),
    }),
    ...json('-blockdev', {
      driver: disk.format,
      'node-name': disk.id,
      file: `${disk.id}-file`,
      'read-only': readOnly,
      ...(readOnly ? {} : { discard: 'unmap', 'detect-zeroes': 'unmap' }),
    }),
  ];
}

/** `enospc`: a full disk of the host stops the guest until there is room; other errors are the guest's to handle. */
function device(disk: DiskConfig): string[] {
  const boot = disk.bootIndex === null ? {} : { bootindex: disk.bootIndex };
  if (disk.media === 'disk')
    return json('-device', {
      driver: 'virtio-blk-pci',
      id: `${disk.id}-dev`,
      drive: disk.id,
      serial: disk.id,
      werror: 'enospc',
      rerror: 'report',
      ...boot,
    });
  return json('-device', { driver: 'ide-cd', id: `${disk.id}-dev`, drive: disk.id, ...boot });
}
