// A program whose output is read while it runs. It ends when the reader goes away.
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { VivError } from '../../contract/errors.ts';
import { spawn } from '../process/spawn.ts';

/**
 * @param input becomes its standard input, and is destroyed when the program ends
 * @returns its standard output, once there is some; the stream fails with the end of its standard error where the program fails
 * @throws missing_program; invalid with its standard error where it ends before any output
 */
export async function streamProgram(
  program: string,
  args: readonly string[],
  { timeoutMs, signal, input }: { timeoutMs: number; signal: AbortSignal; input?: Readable },
): Promise<Readable> {
  signal.throwIfAborted();
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  void pipeline(input ?? Readable.from([]), child.stdin).catch(() => {}); // the program or its input has ended
  let words = '';
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (more: string) => {
    words = `${words}${more}`.slice(-2000);
  });
  const end = () => {
    input?.destroy();
    child.kill('SIGTERM');
  };
  signal.addEventListener('abort', end, { once: true });
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  void closed.then(() => signal.removeEventListener('abort', end));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(new VivError('timeout', `${program} said nothing within ${timeoutMs} ms`)), timeoutMs);
  child.once('error', (error) =>
    reject(new VivError('missing_program', `${program} cannot be started: ${error.message}`, { cause: error })),
  );
  child.stdout.on('readable', () => child.stdout.readableLength > 0 && resolve()); // emitted at the end of empty output too
  void closed.then((code) =>
    code === 0 ? resolve() : reject(new VivError('invalid', words.trim().split('\n').at(-1) ?? `${program} failed`)),
  );
  try {
    await promise;
  } catch (error) {
    end();
    throw error;
  } finally {
    clearTimeout(timer);
  }
  const bytes = async function* (): AsyncIterable<Buffer> {
    try {
      for await (const chunk of child.stdout) yield chunk as Buffer;
      const code = await closed;
      if (code !== 0 && !signal.aborted) throw new VivError('unsupported', `${program} ended with ${code}: ${words.trim()}`);
    } finally {
      end();
    }
  };
  return Readable.from(bytes(), { objectMode: false });
}
