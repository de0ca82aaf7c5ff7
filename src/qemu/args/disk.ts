// Disks and CDs: every layer is a named node with an explicit driver, so that no format is ever guessed.
import type { DiskConfig, QemuConfig } from '../config.ts';
import { json } from './json.ts';

/** Ports of an AHCI controller; each takes one drive. The PC machine type has one controller, whose ports are ide.0 to ide.5. */
const portsOfController = 6;

export function diskArguments(config: Pick<QemuConfig, 'disks' | 'arch' | 'kernel'>): string[] {
  const { disks } = config;
  const cdroms = disks.filter((disk) => disk.media === 'cdrom');
  const drives = cdroms.length === 0 ? null : onVirtio(config) ? scsiDrives() : ahciDrives(cdroms.length);
  return [
    ...(drives?.controllers ?? []),
    ...disks.flatMap((disk) => [
      ...nodes(disk),
      ...(disk.media === 'disk' || !drives ? hardDisk(disk) : drives.drive(disk, cdroms.indexOf(disk))),
    ]),
  ];
}

/**
 * Which CD drives a guest sees. Kernels made for clouds (Debian's, and tiny's with it) have virtio and no AHCI; installers of Windows
 * have AHCI and no virtio; Linux for everyone and the BSDs have both, and so have SeaBIOS and OVMF. What has a seed or is booted
 * by its kernel is a Linux or BSD made for VMs; everything else may be Windows. Other machine types than the PC have no AHCI.
 */
const onVirtio = ({ disks, arch, kernel }: Pick<QemuConfig, 'disks' | 'arch' | 'kernel'>): boolean =>
  (arch !== 'x86_64' && arch !== 'i386') || kernel !== null || disks.some(({ id }) => id === 'seed');

interface Drives {
  readonly controllers: string[];
  drive(disk: DiskConfig, nth: number): string[];
}

/** At an address of its own, so that a CD that is put in or taken out moves no other device: names such as enp0s3 come from there. */
const scsiDrives = (): Drives => ({
  controllers: json('-device', { driver: 'virtio-scsi-pci', id: 'scsi', addr: '1e' }),
  drive: (disk, nth) => cdrom('scsi-cd', disk, { bus: 'scsi.0', 'scsi-id': nth }),
});

const ahciDrives = (count: number): Drives => ({
  controllers: Array.from({ length: Math.ceil(count / portsOfController) - 1 }, (_, nth) =>
    json('-device', { driver: 'ich9-ahci', id: `ahci${nth + 1}` }),
  ).flat(),
  drive: (disk, nth) => {
    const controller = Math.floor(nth / portsOfController);
    return cdrom('ide-cd', disk, { bus: `${controller === 0 ? 'ide' : `ahci${controller}`}.${nth % portsOfController}` });
  },
});

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

const cdrom = (driver: string, disk: DiskConfig, place: Record<string, string | number>): string[] =>
  json('-device', { driver, id: `${disk.id}-dev`, drive: disk.id, ...place, ...boot(disk) });

const boot = ({ bootIndex }: DiskConfig) => (bootIndex === null ? {} : { bootindex: bootIndex });
