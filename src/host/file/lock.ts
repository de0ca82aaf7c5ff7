// One daemon per state directory, one writer per shared file: exclusive locks, which the kernel releases when their holder ends.
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import koffi from 'koffi';
import { VivError } from '../../contract/errors.ts';

/** flock(2): LOCK_EX | LOCK_NB. */
const exclusiveNow = 2 | 4;
const libc = koffi.load(null);
const flock = libc.func('int flock(int fd, int operation)') as (fd: number, operation: number) => number;

/** A child that a killed daemon was starting may hold the lock for a moment. */
const patienceMs = 500;

export interface Lock {
  release(): Promise<void>;
}

/**
 * Takes the lock and writes the daemon's pid into the file. Node opens files close-on-exec, so no QEMU inherits it; kill -9 releases it.
 * @throws StateDirectoryTaken when another process holds it, with its pid
 */
export async function lockDaemon(file: string): Promise<Lock> {
  // Never removed: a lock file that is unlinked while another waits on it gives two owners.
  const handle = await open(file, 'a+', 0o600);
  try {
    if (!(await taken(handle, patienceMs))) throw await heldBy(handle, file);
    await handle.truncate(0);
    await handle.writeFile(`${process.pid}\n`);
  } catch (error) {
    await handle.close();
    throw error;
  }
  return { release: () => handle.close() };
}

/** Takes the lock until it is disposed of; the file stays. @throws timeout */
export async function lockFile(file: string, timeoutMs: number): Promise<Disposable> {
  const handle = await open(file, 'a', 0o600);
  if (await taken(handle, timeoutMs)) return { [Symbol.dispose]: () => void handle.close() };
  const code = koffi.errno();
  await handle.close();
  throw new VivError('timeout', `${file} could not be locked within ${timeoutMs} ms (errno ${code})`);
}

async function taken(handle: FileHandle, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (flock(handle.fd, exclusiveNow) !== 0) {
    if (Date.now() > deadline || koffi.errno() !== koffi.os.errno['EAGAIN']) return false;
    await delay(20);
  }
  return true;
}

/** Another daemon holds the state directory's lock. */
export class StateDirectoryTaken extends VivError {
  constructor(pid: string) {
    super('unavailable', `a daemon is running in this state directory already${pid ? ` (pid ${pid})` : ''}; stop it with: viv down`);
  }
}

async function heldBy(handle: FileHandle, file: string): Promise<VivError> {
  const code = koffi.errno();
  if (code !== koffi.os.errno['EAGAIN'])
    return new VivError('unavailable', `${file} could not be locked (errno ${code}); VIV_HOME must be on a file system with locks`);
  const buffer = Buffer.alloc(32);
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
  return new StateDirectoryTaken(buffer.toString('utf8', 0, bytesRead).trim());
}
