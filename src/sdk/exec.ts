// exec: a command run to its end, its output collected within bounds.
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { VivError } from '../contract/errors.ts';
import type { Session } from './types.ts';

export interface ExecOptions {
  env?: Record<string, string>;
  cwd?: string;
  /** User of the guest; root by default. */
  user?: string;
  /** Given to its standard input; empty by default. */
  input?: string | Uint8Array | Readable;
  /** It is killed when it runs longer. */
  timeoutMs?: number;
  /** How long to wait for the guest's agent, for a VM that is still starting. */
  waitMs?: number;
  signal?: AbortSignal;
  /** Called as output is produced; it is collected all the same. */
  onStdout?: (bytes: Buffer) => void;
  onStderr?: (bytes: Buffer) => void;
  /** `buffer` gives bytes; text in UTF-8 otherwise. */
  encoding?: BufferEncoding | 'buffer';
  /** Bytes of stdout and stderr together; more is an error (too_large) and ends the command. 64 MiB by default. */
  maxBytes?: number;
}

export interface ExecResult<T = string> {
  stdout: T;
  stderr: T;
  exitCode: number | null;
  signal: string | null;
}

export async function collect(session: Session, options: ExecOptions, what: string): Promise<ExecResult<string | Buffer>> {
  const max = options.maxBytes ?? 64 * 1024 * 1024;
  let total = 0;
  const read = async (stream: Readable, listen?: (bytes: Buffer) => void): Promise<Buffer> => {
    const chunks: Buffer[] = [];
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      total += chunk.length;
      if (total > max)
        throw new VivError('too_large', `${what} wrote more than ${max} bytes; set a larger maxBytes, or use spawn to read it as a stream`);
      chunks.push(chunk);
      listen?.(chunk);
    }
    return Buffer.concat(chunks);
  };
  if (options.input !== undefined) {
    const input = options.input instanceof Readable ? options.input : Readable.from([Buffer.from(options.input as string)]);
    pipeline(input, session.stdin).catch(() => {}); // it may end without reading all of it
  }
  try {
    const [stdout, stderr, ending] = await Promise.all([
      read(session.stdout, options.onStdout),
      read(session.stderr, options.onStderr),
      session.exit,
    ]);
    if (options.encoding === 'buffer') return { stdout, stderr, ...ending };
    return { stdout: stdout.toString(options.encoding ?? 'utf8'), stderr: stderr.toString(options.encoding ?? 'utf8'), ...ending };
  } finally {
    session.close();
  }
}
