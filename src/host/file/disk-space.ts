// Whether the state directory's file system has free space, and the reserve that lets the daemon always write its own state.
import { statfsSync } from 'node:fs';

const mib = 1024 ** 2;

export interface Room {
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** Changes are refused below this. */
  readonly reserveBytes: number;
}

/** 1% of the file system, at least 64 MiB and at most 1 GiB; `override` (VIV_RESERVE_BYTES) replaces it. Pure. */
export function reserveFor(totalBytes: number, override: string | undefined): number {
  if (override !== undefined && /^\d{1,15}$/.test(override)) return Number(override);
  return Math.max(64 * mib, Math.min(Math.floor(totalBytes / 100), 1024 * mib));
}

/** Measures at most once a second: it is asked before every change. */
export function diskRoom(path: string, override: string | undefined, ageMs = 1000): () => Room {
  let last: Room | undefined;
  let measuredAt = Number.NEGATIVE_INFINITY;
  return () => {
    if (last && performance.now() - measuredAt < ageMs) return last;
    const { bsize, blocks, bavail } = statfsSync(path);
    const totalBytes = bsize * blocks;
    last = { totalBytes, freeBytes: bsize * bavail, reserveBytes: reserveFor(totalBytes, override) };
    measuredAt = performance.now();
    return last;
  };
}
