// Where a file has data and where it has holes (lseek(2), SEEK_DATA and SEEK_HOLE).
import koffi from 'koffi';
import { VivError } from '../../contract/errors.ts';

const seekData = 3;
const seekHole = 4;
const lseek = koffi.load(null).func('int64_t lseek(int fd, int64_t offset, int whence)') as (
  fd: number,
  offset: number,
  whence: number,
) => number;

export interface Run {
  readonly from: number;
  readonly to: number;
}

/** The runs of data in the first `bytes` of a file, in order. Holes may be reported as data by a file system that knows none. */
export function* dataRuns(fd: number, bytes: number): Generator<Run> {
  for (let at = 0; at < bytes; ) {
    const from = lseek(fd, at, seekData);
    if (from < 0 && koffi.errno() === koffi.os.errno['ENXIO']) return;
    const to = from < 0 ? -1 : lseek(fd, from, seekHole);
    if (to < 0) throw new VivError('internal', `a file cannot be looked through for its data (error ${koffi.errno()})`);
    if (from >= bytes) return;
    yield { from, to: Math.min(to, bytes) };
    at = to;
  }
}
