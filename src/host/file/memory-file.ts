// Anonymous memory with a descriptor: it is freed when the last process closes it (memfd_create(2)).
import koffi from 'koffi';
import { VivError } from '../../contract/errors.ts';

const closeOnExec = 1;
const allowSealing = 2;
const libc = koffi.load(null);
const memfdCreate = libc.func('int memfd_create(const char *name, unsigned int flags)') as (name: string, flags: number) => number;
const ftruncate = libc.func('int ftruncate(int fd, int64_t length)') as (fd: number, length: number) => number;

/** Creates a file of `bytes` zeros; the caller closes the descriptor. Memory is allocated on write. @throws no_memory */
export function createMemoryFile(name: string, bytes: number): number {
  const fd = memfdCreate(name, closeOnExec | allowSealing);
  if (fd < 0 || ftruncate(fd, bytes) < 0)
    throw new VivError('no_memory', `the host gives no file in memory of ${bytes} bytes (error ${koffi.errno()})`);
  return fd;
}
