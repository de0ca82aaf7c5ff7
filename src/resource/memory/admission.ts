// Whether the host can honour another VM's memory. Pure.
//
// Two totals are kept: what is reserved must be there, and what is given must stay below the overcommit ratio. A fork shares memory with others:
// it counts with what it has of its own (PSS), so that it is neither free nor counted twice.
import { sizeText } from '../../contract/bound.ts';
import { VivError } from '../../contract/errors.ts';

export interface Committed {
  /** What is reserved for it. */
  readonly reservedBytes: number;
  /** What it has been given, as it counts against the ratio. */
  readonly givenBytes: number;
}

export interface Capacity {
  readonly totalBytes: number;
  /** Kept free for the host itself. */
  readonly reserveBytes: number;
  readonly overcommitRatio: number;
}

export const sumOf = (vms: readonly Committed[]): Committed => ({
  reservedBytes: vms.reduce((sum, vm) => sum + vm.reservedBytes, 0),
  givenBytes: vms.reduce((sum, vm) => sum + vm.givenBytes, 0),
});

export const usableBytes = ({ totalBytes, reserveBytes }: Capacity): number => Math.max(0, totalBytes - reserveBytes);

/** @param count how many of it are to start. @throws no_memory, with the arithmetic */
export function admit(name: string, desired: Committed, count: number, running: readonly Committed[], capacity: Capacity): void {
  const usable = usableBytes(capacity);
  const sum = sumOf(running);
  const reserved = desired.reservedBytes * count;
  const given = desired.givenBytes * count;
  const vms = `${running.length} running ${running.length === 1 ? 'VM' : 'VMs'}`;
  const details = {
    totalBytes: capacity.totalBytes,
    reserveBytes: capacity.reserveBytes,
    overcommitRatio: capacity.overcommitRatio,
    ...sum,
  };
  if (reserved > 0 && sum.reservedBytes + reserved > usable)
    throw new VivError(
      'no_memory',
      `cannot start ${name}: it reserves ${rounded(reserved)}, ${rounded(sum.reservedBytes)} are reserved by ${vms}, and the host can reserve ${rounded(usable)} (${rounded(capacity.totalBytes)} less ${rounded(capacity.reserveBytes)} for itself). Lower its memory-minimum or stop another VM`,
      { details },
    );
  const most = usable * capacity.overcommitRatio;
  if (given > 0 && sum.givenBytes + given > most)
    throw new VivError(
      'no_memory',
      `cannot start ${name}: with its ${rounded(given)}, VMs would be given ${rounded(sum.givenBytes + given)}, and the host allows ${rounded(most)} (${rounded(usable)} times the overcommit ratio of ${capacity.overcommitRatio}). Give it less memory or stop another VM`,
      { details },
    );
}

/** How many more VMs like this one fit. */
export function headroom(
  like: Committed,
  running: readonly Committed[],
  capacity: Capacity,
  availableBytes: number,
  neededBytes: number,
): number {
  const sum = sumOf(running);
  const usable = usableBytes(capacity);
  const byReservation = like.reservedBytes > 0 ? (usable - sum.reservedBytes) / like.reservedBytes : Number.POSITIVE_INFINITY;
  const byRatio = like.givenBytes > 0 ? (usable * capacity.overcommitRatio - sum.givenBytes) / like.givenBytes : Number.POSITIVE_INFINITY;
  return Math.max(0, Math.floor(Math.min(byReservation, byRatio, availableBytes / Math.max(1, neededBytes))));
}

const MiB = 2 ** 20;
const rounded = (bytes: number): string =>
  bytes >= 2 ** 30 ? `${Math.round((bytes / 2 ** 30) * 100) / 100} GiB` : sizeText(Math.round(bytes / MiB) * MiB || bytes);
