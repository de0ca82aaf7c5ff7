// Waiting for work that the daemon does: progress on stderr, and Ctrl-C asks the daemon to cancel it (a second one leaves).

import { VivError } from '../contract/errors.ts';
import type { CallOptions } from '../sdk/types.ts';
import type { Context } from './context.ts';
import { describeProblem, Interrupted } from './problem.ts';
import { describeTask } from './terminal/screen.ts';

/** So long a task that was cancelled by another signal than Ctrl-C's is waited for. */
const unattendedMs = 10_000;

let count = 0;
/** Said once, however many tasks are under way. */
let said = false;

/** Calls an operation that is a task; `what` is how the progress line begins. */
export async function perform<T>(context: Context, what: string, call: (options: CallOptions) => Promise<T>): Promise<T> {
  count += 1;
  const key = `${count} ${what}`;
  const leaving = new AbortController();
  let task: string | undefined;
  let asked = false;
  const cancel = () => {
    if (task === undefined) return;
    context
      .client()
      .then((client) => client.task.cancel({ task: task as string }))
      .catch((error) => {
        // It may have ended in the same moment: then its own answer tells.
        if (!(error instanceof VivError && error.code === 'wrong_state')) context.screen.say(describeProblem(error, context.env));
      });
  };
  const leave = () => {
    context.screen.say(task === undefined ? 'viv: left' : `viv: left; task ${task} continues (viv task show ${task})`);
    leaving.abort();
    context.interrupts.abort();
  };
  let timer: NodeJS.Timeout | undefined;
  const forget = context.interrupts.handle((signal) => {
    if (asked) return leave();
    asked = true;
    if (!said) context.screen.say('viv: cancelling; Ctrl-C again leaves without waiting');
    said = true;
    cancel();
    // Nobody is there who could ask again.
    if (signal !== 'SIGINT') timer = setTimeout(leave, unattendedMs);
  });
  try {
    return await call({
      signal: AbortSignal.any([leaving.signal, context.interrupts.signal]),
      onTask: (seen) => {
        const first = task === undefined;
        task = seen.id;
        if (first && asked) cancel();
        context.screen.show(key, describeTask(seen, what));
      },
    });
  } catch (error) {
    if (!asked || !(error instanceof VivError && error.code === 'cancelled')) throw error;
    throw new Interrupted(error.message.replace(/^[\w.]+ was cancelled/, `${what} was cancelled`));
  } finally {
    clearTimeout(timer);
    forget();
    context.screen.settle(key);
  }
}
