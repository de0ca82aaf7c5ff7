// Secrets that a user types: without showing them on a terminal, a line of standard input elsewhere. Never an argument: every process of the host sees those.
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { VivError } from '../../contract/errors.ts';
import type { Context } from '../context.ts';

type Asking = Pick<Context, 'stdin' | 'stderr' | 'interactive' | 'interrupts'>;

let rest: string[] | undefined;

/** @param what `Password`: what is asked for. @throws invalid where standard input has no line left */
export async function askSecret({ stdin, stderr, interactive, interrupts }: Asking, what: string): Promise<string> {
  if (!interactive) return nextLine(stdin, what);
  stderr.write(`${what}: `);
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: stdin, output: silent, terminal: true });
  try {
    return await reader.question('', { signal: interrupts.signal });
  } finally {
    reader.close();
    stderr.write('\n');
  }
}

/** The same, shown as it is typed. */
export async function ask({ stdin, stderr, interactive, interrupts }: Asking, what: string): Promise<string> {
  if (!interactive) return nextLine(stdin, what);
  const reader = createInterface({ input: stdin, output: stderr });
  try {
    return (await reader.question(`${what}: `, { signal: interrupts.signal })).trim();
  } finally {
    reader.close();
  }
}

/** A new password, typed twice at a terminal. @throws invalid */
export async function askNewPassword(context: Asking): Promise<string> {
  const password = await askSecret(context, 'New password');
  if (context.interactive && (await askSecret(context, 'Again')) !== password)
    throw new VivError('invalid', 'the two passwords differ; nothing was changed');
  return password;
}

async function nextLine(stdin: NodeJS.ReadStream, what: string): Promise<string> {
  if (rest === undefined) {
    const chunks: Buffer[] = [];
    for await (const chunk of stdin) chunks.push(Buffer.from(chunk));
    rest = Buffer.concat(chunks).toString('utf8').split('\n');
  }
  const line = rest.shift()?.replace(/\r$/, '');
  if (line === undefined || line === '') throw new VivError('invalid', `${what} is missing; give it on a line of standard input`);
  return line;
}
