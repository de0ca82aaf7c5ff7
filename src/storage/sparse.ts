import { ftruncateSync, readSync, writeSync } from 'node:fs';
import koffi from 'koffi';

const lseek = koffi.load(null).func('int64_t lseek(int fd, int64_t offset, int whence)') as (
  fd: number,
  offset: number,
  whence: number,
) => number;
export async function flatten(
  layers: readonly number[],
  to: number,
  sizeBytes: number,
  options: { signal: AbortSignal; onProgress?: (done: number, total: number) => void },
): Promise<void> {
  ftruncateSync(to, sizeBytes);
  const buffer = Buffer.alloc(1 << 20);
  for (const fd of layers) {
    for (let at = 0; at < sizeBytes; ) {
      const from = lseek(fd, at, 3);
      if (from < 0) break;
      at = lseek(fd, from, 4);
      for (let p = from; p < at; ) {
        const n = readSync(fd, buffer, 0, Math.min(buffer.length, at - p), p);
        writeSync(to, buffer, 0, n, p);
        p += n;
      }
      options.signal.throwIfAborted();
      await new Promise((r) => setImmediate(r));
    }
  }
}
