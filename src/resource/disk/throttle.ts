// Disk limits as QEMU's throttle groups take them (block_set_io_throttle). Pure. 0 is QEMU's "no limit".
import type { DiskLimit, DiskLimitKind } from '../../contract/disk-limit.ts';

const names: Record<DiskLimitKind, string> = {
  iops: 'iops',
  'iops-read': 'iops_rd',
  'iops-write': 'iops_wr',
  bandwidth: 'bps',
  'bandwidth-read': 'bps_rd',
  'bandwidth-write': 'bps_wr',
};

/** @param device QOM id of the disk's device. @param limits of this disk; none lifts all */
export function throttleArguments(device: string, limits: readonly DiskLimit[]): Record<string, string | number> {
  const args: Record<string, string | number> = { id: device, bps: 0, bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0 };
  for (const { kind, perSecond, burstPerSecond, burstSeconds } of limits) {
    const name = names[kind];
    args[name] = perSecond;
    if (burstPerSecond === null) continue;
    args[`${name}_max`] = burstPerSecond;
    args[`${name}_max_length`] = burstSeconds;
  }
  // A request counts as one operation per 64 KiB, so that large requests do not get around a limit on operations.
  if (limits.some(({ kind }) => kind.startsWith('iops'))) args['iops_size'] = 65_536;
  return args;
}
