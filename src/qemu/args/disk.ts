// Disks and CDs: every layer is a named node with an explicit driver, so that no format is ever guessed.
import type { DiskConfig, QemuConfig } from '../config.ts';
import { json } from './json.ts';

/** Ports of an AHCI controller; each takes one drive. The PC board brings one controller, whose ports are ide.0 to ide.5. */
const portsOfController = 6;

export function diskArguments({ disks, arch }: Pick<QemuConfig, 'disks' | 'arch'>): string[] {
  const cdroms = disks.filter((disk) => disk.media === 'cdrom');
  const builtIn = arch === 'x86_64' || arch === 'i386' ? 1 : 0;
  const controllers = Math.ceil(cdroms.length / portsOfController);
  const busOf = (nth: number) => {
    const controller = Math.floor(nth / portsOfController);
    return `${controller < builtIn ? 'ide' : `ahci${controller}`}.${nth % portsOfController}`;
  };
  return [
    ...Array.from({ length: controllers }, (_, nth) =>
      nth < builtIn ? [] : json('-device', { driver: 'ich9-ahci', id: `ahci${nth}` }),
    ).flat(),
    ...disks.flatMap((disk) => [...nodes(disk), ...(disk.media === 'disk' ? hardDisk(disk) : cdrom(disk, busOf(cdroms.indexOf(disk))))]),
  ];
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
const hardDisk = (disk: DiskConfig): string[] =>
  json('-device', {
    driver: 'virtio-blk-pci',
    id: `${disk.id}-dev`,
    drive: disk.id,
    serial: disk.id,
    werror: 'enospc',
    rerror: 'report',
    ...boot(disk),
  });

const cdrom = (disk: DiskConfig, bus: string): string[] =>
  json('-device', { driver: 'ide-cd', id: `${disk.id}-dev`, drive: disk.id, bus, ...boot(disk) });

const boot = ({ bootIndex }: DiskConfig) => (bootIndex === null ? {} : { bootindex: bootIndex });
