// Limits of disks, over QMP. They hold for the disk's device: new overlays below it keep them.
import type { QmpConnection } from './qmp.ts';

/** @param limit as QEMU takes it, with the device's id; 0 is no limit */
export const setThrottle = (qmp: QmpConnection, limit: Readonly<Record<string, string | number>>) =>
  qmp.execute('block_set_io_throttle', limit);
