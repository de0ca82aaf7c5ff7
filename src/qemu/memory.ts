// A guest's memory as layers of files. What maps and freezes them runs inside its QEMU (memory/layers.c); this is how it is set
// up and asked. docs/decisions/0007 says why.
import { connect } from 'node:net';
import { VivError } from '../contract/errors.ts';

/** What a QEMU process is given at its start. */
export interface MemoryLayers {
  /** The library that QEMU loads, opened: its folder need not be reachable for QEMU's user. */
  readonly library: number;
  /** Where it listens, for `freezeMemory`. */
  readonly socket: string;
  /** Descriptors, bottom first. One alone that is `own` is empty and the machine's. */
  readonly layers: readonly number[];
  readonly own: boolean;
}

/** The first inherited descriptor: 0, 1 and 2 are the standard ones. */
const firstFd = 3;

/** Where QEMU finds its memory: the bottom layer, after the library. */
export const memoryPath = `/proc/self/fd/${firstFd + 1}`;

/** Descriptors to be inherited, in order, and the variables that say so. Pure. */
export function inherited({ library, socket, layers, own }: MemoryLayers): { fds: number[]; env: Record<string, string> } {
  const numbers = layers.map((_, nth) => firstFd + 1 + nth);
  return {
    fds: [library, ...layers],
    env: { LD_PRELOAD: `/proc/self/fd/${firstFd}`, VIV_MEMORY: `${socket}:${own ? '+' : ''}${numbers.join(',')}` },
  };
}

/** The first descriptor that is free for a tap. Pure. */
export const firstTapFd = (memory: MemoryLayers | null): number => firstFd + (memory === null ? 0 : 1 + memory.layers.length);

export interface FrozenMemory {
  /** QEMU's own descriptors of the layers, bottom first. They stay the same for as long as the process lives. */
  readonly layers: number[];
  /** What had to be copied into the newest one. */
  readonly copiedBytes: number;
}

const longestAnswer = 4096;

/**
 * Makes what the guest has written since the last time into a layer that does not change any more. Its CPUs must be stopped.
 * @throws qemu_failed where it is refused or not answered in time
 */
export async function freezeMemory(socket: string, { timeoutMs }: { timeoutMs: number }): Promise<FrozenMemory> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const failed = (words: string, cause?: unknown) =>
    reject(new VivError('qemu_failed', `the machine's memory could not be frozen: ${words}`, { cause }));
  const connection = connect(socket, () => connection.write('freeze\n'));
  const timer = setTimeout(() => failed(`no answer within ${timeoutMs} ms`), timeoutMs);
  let text = '';
  connection.setEncoding('utf8');
  connection.on('data', (more: string) => {
    text += more;
    if (text.includes('\n')) resolve(text.slice(0, text.indexOf('\n')));
    else if (text.length > longestAnswer) failed('an answer without end');
  });
  connection.on('error', (error) => failed(error.message, error));
  connection.on('close', () => failed('QEMU closed the connection'));
  try {
    const line = await promise;
    const answer = /^ok (\d+(?:,\d+)*) (\d+)$/.exec(line);
    if (!answer) throw new VivError('qemu_failed', `the machine's memory could not be frozen: ${line.slice(0, 200)}`);
    return { layers: (answer[1] as string).split(',').map(Number), copiedBytes: Number(answer[2]) };
  } finally {
    clearTimeout(timer);
    connection.destroy();
  }
}
