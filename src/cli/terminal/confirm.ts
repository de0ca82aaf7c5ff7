// The question before something is destroyed. On a terminal only: a script said what it wants by running the command.
import { createInterface } from 'node:readline/promises';
import { VivError } from '../../contract/errors.ts';
import type { Context } from '../context.ts';
import { clean, shorten } from '../render/text.ts';

/** Resolves on yes; throws `cancelled` on anything else. */
export async function confirm(context: Context, question: string): Promise<void> {
  if (!context.interactive) return;
  const reader = createInterface({ input: context.stdin, output: context.stderr });
  try {
    const answer = await reader.question(`${shorten(clean(question), 300)} [y/N] `, { signal: context.interrupts.signal });
    if (!/^y(es)?$/i.test(answer.trim())) throw new VivError('cancelled', 'nothing was changed, because the answer was not yes');
  } finally {
    reader.close();
  }
}
