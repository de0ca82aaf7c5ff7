// The daemon's log: JSON lines in a file, rotated by size. A full disk loses lines, never the daemon.
import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';
import pino, { type Logger } from 'pino';

const rotateBytes = 8 * 1024 * 1024;
const levels = ['trace', 'debug', 'info', 'warn', 'error'];

/** Logs to `file`; the previous one is `file.1`. VIV_LOG_LEVEL sets the level (default: info). */
export function openLog(file: string, env: NodeJS.ProcessEnv, limitBytes = rotateBytes): Logger {
  const asked = env['VIV_LOG_LEVEL'] ?? '';
  return pino(
    { level: levels.includes(asked) ? asked : 'info', base: null, serializers: { error: pino.stdSerializers.errWithCause } },
    rotatingFile(file, limitBytes),
  );
}

function rotatingFile(file: string, limitBytes: number): { write(line: string): void } {
  let fd = openSync(file, 'a', 0o600);
  let size = fstatSync(fd).size;
  const rotate = () => {
    renameSync(file, `${file}.1`);
    const next = openSync(file, 'a', 0o600);
    closeSync(fd);
    fd = next;
    size = 0;
  };
  return {
    write(line) {
      try {
        if (size > 0 && size + Buffer.byteLength(line) > limitBytes) rotate();
        size += writeSync(fd, line);
      } catch {
        // no space, or the folder was removed: the line is lost
      }
    },
  };
}
