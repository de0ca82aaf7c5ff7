// Who may open /dev/kvm: a daemon that is root always may, its VMs' own users only by the device's group or by everybody.
import { stat } from 'node:fs/promises';

const readWrite = 0o6;

/** The group a VM's process needs; null: none, everybody may open it; undefined: no group of use may. Pure. */
export function groupThatMayOpen({ mode, gid }: { mode: number; gid: number }): number | null | undefined {
  if ((mode & readWrite) === readWrite) return null;
  // The group root would give a VM's process far more than this device.
  return gid !== 0 && ((mode >> 3) & readWrite) === readWrite ? gid : undefined;
}

/** @throws where there is no such device */
export const kvmGroup = async (device = '/dev/kvm'): Promise<number | null | undefined> => groupThatMayOpen(await stat(device));
