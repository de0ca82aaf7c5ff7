// One call for each NAME: a few at a time, every failure reported, the worst exit code for the whole.
import type { Context } from './context.ts';
import { describeProblem, exitCodeOf } from './problem.ts';

const atATime = 8;

/** Results in the order of the names; undefined where it failed (and was reported). */
export async function forEachName<T>(
  context: Context,
  names: readonly string[],
  act: (name: string) => Promise<T>,
): Promise<{ results: (T | undefined)[]; code: number }> {
  const results: (T | undefined)[] = new Array(names.length).fill(undefined);
  let code = 0;
  let next = 0;
  const worker = async () => {
    while (next < names.length) {
      if (context.interrupts.asked) {
        // Ctrl-C: what is under way is being cancelled, the rest is not begun.
        code = Math.max(code, 130);
        return;
      }
      const index = next;
      next += 1;
      try {
        context.interrupts.signal.throwIfAborted();
        results[index] = await act(names[index] as string);
      } catch (error) {
        code = Math.max(code, exitCodeOf(error));
        const text = describeProblem(error, context.env);
        if (text !== '') context.screen.say(text);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atATime, names.length) }, worker));
  return { results, code };
}
