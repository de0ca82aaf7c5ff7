// The balloon of a running VM, over QMP.
import { z } from 'zod';
import { balloonId } from './args/balloon.ts';
import type { QmpConnection } from './qmp.ts';

const path = `/machine/peripheral/${balloonId}`;
const Info = z.object({ actual: z.number() });
/** QEMU writes -1 as an unsigned number for what the guest does not report. */
const Figure = z.number().transform((value) => (value >= 2 ** 63 || value < 0 ? null : value));
const Stats = z.object({ stats: z.record(z.string(), Figure), 'last-update': z.number() });

export interface BalloonStats {
  /** Seconds since 1970; 0: the guest has not answered yet. */
  readonly updatedAt: number;
  readonly totalBytes: number | null;
  readonly freeBytes: number | null;
  readonly availableBytes: number | null;
  readonly cacheBytes: number | null;
  /** Since the guest booted. */
  readonly majorFaults: number | null;
  readonly swapInBytes: number | null;
}

/** Asks the guest to leave the rest of its memory to the host. It follows as fast as it can, and need not. */
export const setBalloon = (qmp: QmpConnection, memoryBytes: number) => qmp.execute('balloon', { value: memoryBytes });

/** What the balloon leaves the guest now, in bytes. */
export const balloonActual = async (qmp: QmpConnection): Promise<number> => Info.parse(await qmp.execute('query-balloon')).actual;

/** @param seconds 0: no more statistics */
export const pollBalloonStats = (qmp: QmpConnection, seconds: number) =>
  qmp.execute('qom-set', { path, property: 'guest-stats-polling-interval', value: seconds });

export async function balloonStats(qmp: QmpConnection): Promise<BalloonStats> {
  const { stats, 'last-update': updatedAt } = Stats.parse(await qmp.execute('qom-get', { path, property: 'guest-stats' }));
  const of = (name: string) => stats[name] ?? null;
  return {
    updatedAt,
    totalBytes: of('stat-total-memory'),
    freeBytes: of('stat-free-memory'),
    availableBytes: of('stat-available-memory'),
    cacheBytes: of('stat-disk-caches'),
    majorFaults: of('stat-major-faults'),
    swapInBytes: of('stat-swap-in'),
  };
}
