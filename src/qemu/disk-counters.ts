// What QEMU has counted for each disk since it was started.
import { z } from 'zod';
import type { QmpConnection } from './qmp.ts';

const Stats = z.object({
  rd_bytes: z.int(),
  wr_bytes: z.int(),
  rd_operations: z.int(),
  wr_operations: z.int(),
  rd_total_time_ns: z.int(),
  wr_total_time_ns: z.int(),
  flush_operations: z.int(),
  flush_total_time_ns: z.int(),
});
const Devices = z.array(z.object({ qdev: z.string().optional(), stats: Stats.optional() }));

interface DiskCounters {
  readonly disk: string;
  readonly readBytes: number;
  readonly writeBytes: number;
  readonly reads: number;
  readonly writes: number;
  readonly readSeconds: number;
  readonly writeSeconds: number;
  readonly flushes: number;
  readonly flushSeconds: number;
}

/** By the disk's id: its device is called by it, whatever overlay is active (args/disk.ts). Others (firmware) are left out. */
export async function diskCounters(qmp: QmpConnection, signal: AbortSignal): Promise<DiskCounters[]> {
  const devices = Devices.parse(await qmp.execute('query-blockstats', {}, { signal }));
  return devices.flatMap(({ qdev, stats }) => {
    const disk = /(?:^|\/)([\w-]+)-dev(?:\/|$)/.exec(qdev ?? '')?.[1];
    return disk === undefined || !stats ? [] : [{ disk, ...countersOf(stats) }];
  });
}

const countersOf = (stats: z.infer<typeof Stats>): Omit<DiskCounters, 'disk'> => ({
  readBytes: stats.rd_bytes,
  writeBytes: stats.wr_bytes,
  reads: stats.rd_operations,
  writes: stats.wr_operations,
  readSeconds: stats.rd_total_time_ns / 1e9,
  writeSeconds: stats.wr_total_time_ns / 1e9,
  flushes: stats.flush_operations,
  flushSeconds: stats.flush_total_time_ns / 1e9,
});
