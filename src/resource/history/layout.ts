// Where things are in a history file: one file for each VM and one for the host, three rings in it. A file never grows beyond its layout
// (2.1 MiB), and is sparse: what was never written takes no space.
import { recordBytes } from './record.ts';

/** Columns of a file; more than there are series, so that new ones find room in files that exist. */
export const columns = 24;
/** `VIVHIST1`, then the names of the columns as JSON. */
export const magic = 'VIVHIST1';
export const headBytes = 4096;

export type Tier = 'second' | 'minute' | 'hour';

export interface Ring {
  readonly tier: Tier;
  readonly stepMs: number;
  readonly slots: number;
  /** Values in a slot: means; in the coarser rings maxima after them. */
  readonly values: number;
  readonly offset: number;
}

const shapes = [
  { tier: 'second', stepMs: 1000, slots: 3600, values: columns },
  { tier: 'minute', stepMs: 60_000, slots: 10_080, values: 2 * columns },
  { tier: 'hour', stepMs: 3_600_000, slots: 8784, values: 2 * columns },
] as const satisfies Omit<Ring, 'offset'>[];

function laidOut(): Ring[] {
  let offset = headBytes;
  return shapes.map((shape) => {
    const ring = { ...shape, offset };
    offset += shape.slots * recordBytes(shape.values);
    return ring;
  });
}

const [second, minute, hour] = laidOut() as [Ring, Ring, Ring];
export const rings: Readonly<Record<Tier, Ring>> = { second, minute, hour };

export const slotOffset = (ring: Ring, interval: number): number => ring.offset + (interval % ring.slots) * recordBytes(ring.values);

/** The finest ring that reaches back to `from`. */
export function ringFor(from: number, now: number): Ring {
  const span = now - from;
  const reaches = (ring: Ring) => span <= ring.slots * ring.stepMs;
  return reaches(second) ? second : reaches(minute) ? minute : hour;
}
