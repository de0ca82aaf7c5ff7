// A guest's memory as memory layers. The library that maps and freezes them runs inside QEMU (native/qemu-preload/memory_layers.c); this file
// sets it up and sends it requests. docs/decisions/0007 says why.
import { connect } from 'node:net';
import { VivError } from '../contract/errors.ts';

/** What a QEMU process gets at its start. */
export interface MemoryLayers {
  /** The library that QEMU loads, opened: its folder need not be reachable for QEMU's user. */
  readonly library: number;
  /** Where it listens, for `controlMemory`. */
  readonly socket: string;
  /** Descriptors, bottom first. One alone that is `own` is empty and the VM's. */
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

/** The first descriptor that its memory leaves free. Pure. */
export const firstFreeFd = (memory: MemoryLayers | null): number => firstFd + (memory === null ? 0 : inherited(memory).fds.length);

export interface FrozenMemory {
  /** QEMU's own descriptors of the layers, bottom first. They stay the same for as long as the process lives. */
  readonly layers: number[];
  /** Bytes copied into the newest layer while the guest was paused. */
  readonly copiedBytes: number;
}

/** A session of requests about a VM's memory. Disposing of it discards what was prepared and not frozen. */
export interface MemoryControl extends Disposable {
  /** Copies what the guest has written since the last freeze, while it runs, so that the next freeze has little to copy. @throws qemu_failed */
  prepare(): Promise<void>;
  /**
   * Turns what the guest has written since the last freeze into a sealed layer. Its CPUs must be stopped.
   * @throws qemu_failed where it is refused or not answered in time
   */
  freeze(): Promise<FrozenMemory>;
}

const longestAnswer = 4096;

/** @param timeoutMs for each answer */
export function controlMemory(socket: string, { timeoutMs }: { timeoutMs: number }): MemoryControl {
  const connection = connect(socket);
  let waiting: PromiseWithResolvers<string> | null = null;
  let text = '';
  const failed = (words: string, cause?: unknown) =>
    waiting?.reject(new VivError('qemu_failed', `the VM's memory could not be frozen: ${words}`, { cause }));
  connection.setEncoding('utf8');
  connection.on('data', (more: string) => {
    text += more;
    if (text.length > longestAnswer) failed('an answer without end');
    else if (text.includes('\n')) {
      waiting?.resolve(text.slice(0, text.indexOf('\n')));
      text = '';
    }
  });
  connection.on('error', (error) => failed(error.message, error));
  connection.on('close', () => failed('QEMU closed the connection'));
  const ask = async (command: string, answer: RegExp): Promise<RegExpExecArray> => {
    waiting = Promise.withResolvers<string>();
    const timer = setTimeout(() => failed(`no answer within ${timeoutMs} ms`), timeoutMs);
    try {
      if (connection.destroyed) failed('QEMU closed the connection');
      else connection.write(`${command}\n`);
      const line = await waiting.promise;
      const found = answer.exec(line);
      if (!found) throw new VivError('qemu_failed', `the VM's memory could not be frozen: ${line.slice(0, 200)}`);
      return found;
    } finally {
      clearTimeout(timer);
      waiting = null;
    }
  };
  return {
    prepare: async () => {
      await ask('prepare', /^ok \d+$/);
    },
    freeze: async () => {
      const [, layers = '', copied] = await ask('freeze', /^ok (\d+(?:,\d+)*) (\d+)$/);
      return { layers: layers.split(',').map(Number), copiedBytes: Number(copied) };
    },
    [Symbol.dispose]: () => connection.destroy(),
  };
}
