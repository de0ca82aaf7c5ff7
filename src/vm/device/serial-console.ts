// The serial line. What the guest writes is read from its log, so any number of watchers see the same; what a watcher types
// goes through QEMU's socket, which is held only while somebody is attached.
import { connect, type Socket } from 'node:net';
import { VivError } from '../../contract/errors.ts';

export class SerialLine {
  readonly #path: string;
  #socket: Promise<Socket> | null = null;
  #users = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Attaches; call `release` when done. */
  attach(): { write(bytes: Buffer): Promise<void>; release(): void } {
    this.#users += 1;
    let released = false;
    return {
      write: async (bytes) => {
        this.#socket ??= open(this.#path, () => {
          this.#socket = null;
        });
        const socket = await this.#socket;
        if (!socket.write(bytes)) await new Promise<void>((resolve) => socket.once('drain', resolve).once('close', resolve));
      },
      release: () => {
        if (released) return;
        released = true;
        this.#users -= 1;
        if (this.#users > 0 || this.#socket === null) return;
        void this.#socket.then((socket) => socket.end()).catch(() => {});
        this.#socket = null;
      },
    };
  }
}

function open(path: string, onClose: () => void): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.setTimeout(5000, () => socket.connecting && socket.destroy(new Error('no answer within 5 s')));
    socket.once('connect', () => resolve(socket));
    socket.resume(); // the same bytes are in the log
    socket.on('error', (error) =>
      reject(new VivError('qemu_failed', `the serial line cannot be reached: ${error.message}`, { cause: error })),
    );
    socket.once('close', onClose);
  });
}
