// `viv console NAME`: the serial line, with what it said before. Several may watch and type at once.
import { operations } from '../../contract/index.ts';
import { type Command, one } from '../command.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';
import { isAbort } from '../problem.ts';
import { clean } from '../render/text.ts';
import { flow } from '../terminal/attach.ts';
import { enterRaw } from '../terminal/terminal.ts';

/** Ctrl-] */
const detachKey = 0x1d;
const shape = shapeOf(operations.vm.console);

export const command: Command = {
  ...shape,
  flags: shape.flags.filter((flag) => flag.field !== 'json'),
  notes: ['Ctrl-] detaches; the VM keeps running.'],
  async run(invocation, context) {
    const input = { vm: one(invocation, 'vm'), ...invocation.flags };
    checkInput(operations.vm.console, input);
    const client = await context.client();
    const leaving = new AbortController();
    const { stdin } = context;
    const undo: (() => void)[] = [];
    try {
      const session = await client.vm.console(input, { signal: AbortSignal.any([leaving.signal, context.interrupts.signal]) });
      undo.push(() => session.close());
      if (stdin.isTTY === true) context.screen.say(`attached to ${clean(input.vm)}; detach with Ctrl-]`);
      undo.push(enterRaw(stdin));
      const detached = new Promise<'detached'>((resolve) => {
        const keys = (bytes: Buffer) => {
          const at = stdin.isTTY === true ? bytes.indexOf(detachKey) : -1;
          const typed = at === -1 ? bytes : bytes.subarray(0, at);
          if (typed.length > 0 && !session.stdin.write(typed)) {
            stdin.pause();
            session.stdin.once('drain', () => stdin.resume());
          }
          if (at !== -1) resolve('detached');
        };
        stdin.on('data', keys);
        undo.push(() => {
          stdin.off('data', keys);
          stdin.pause();
        });
      });
      session.stderr.resume();
      const shown = flow(session.stdout, context.stdout);
      const ending = await Promise.race([session.exit.then((end) => shown.then(() => end.reason)), detached]);
      for (const step of undo.splice(0).reverse()) step();
      if (stdin.isTTY === true)
        context.screen.say(
          `\r\n${ending === 'detached' ? `detached from ${clean(input.vm)}; the VM keeps running` : clean(ending ?? 'the line was closed')}`,
        );
      return 0;
    } catch (error) {
      if (isAbort(error)) return 0;
      throw error;
    } finally {
      for (const step of undo.reverse()) step();
    }
  },
};
