// Limits of disks, over QMP. They hold for the disk's device: new overlays below it keep them.
import type { QmpConnection } from './qmp.ts';

/** Of a virtio disk the backend is the device's inner part. */
export const throttleTarget = (disk: string): string => `/machine/peripheral/${disk}-dev/virtio-backend`;

/** @param limit as QEMU takes it, with the throttle target as its id; 0 is no limit */
export const setThrottle = (qmp: QmpConnection, limit: Readonly<Record<string, string | number>>) =>
  qmp.execute('block_set_io_throttle', limit);
