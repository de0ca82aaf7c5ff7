// The user's terminal in raw mode, and back: whatever happens (end, error, signal) it is given back as it was.
import { spawnSync } from 'node:child_process';
import { constants } from 'node:os';

/** Every key goes to the reader, Ctrl-C too. The function returned puts the terminal back; it may be called twice. */
export function enterRaw(stdin: NodeJS.ReadStream): () => void {
  if (stdin.isTTY !== true) return () => {};
  const before = stdin.isRaw;
  let done = false;
  const restore = () => {
    if (done) return;
    done = true;
    process.off('exit', restore);
    try {
      stdin.setRawMode(before);
    } catch {
      // the terminal has gone (its window was closed): nothing is left to put back
    }
  };
  process.on('exit', restore);
  stdin.setRawMode(true);
  // Node's raw mode still turns \n into \r\n, which the guest's own terminal has done where needed: programs that draw
  // move down by a bare \n. Undone by setRawMode as well.
  spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'], timeout: 2000 });
  return restore;
}

/** The terminal's size, as guests take it. */
export function sizeOf(stdout: NodeJS.WriteStream): { rows: number; columns: number } {
  const within = (value: number | undefined, standard: number) => Math.min(10_000, Math.max(1, value || standard));
  return { rows: within(stdout.rows, 24), columns: within(stdout.columns, 80) };
}

/** 128 + the signal's number, as shells have it; 1 for a signal that this system does not know. */
export function codeOfSignal(signal: string): number {
  const number = (constants.signals as Readonly<Record<string, number | undefined>>)[signal];
  return number === undefined ? 1 : 128 + number;
}
