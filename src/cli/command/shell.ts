// `viv shell NAME`: a login shell with a real terminal; without a terminal here, a shell that reads its commands from stdin.
import { operations } from '../../contract/index.ts';
import { type Command, one } from '../command.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';
import { type Attached, attach } from '../terminal/attach.ts';

const shape = shapeOf(operations.vm.exec, ['command', 'terminal', 'stdin', 'timeoutMs']);

export const command: Command = {
  ...shape,
  words: 'shell',
  section: 'Inside a VM',
  summary: 'Open a login shell inside a VM',
  flags: shape.flags.filter((flag) => flag.field !== 'json'),
  notes: ['All keys go to the VM, Ctrl-C too; leave with exit or Ctrl-D. viv ends with the shell’s exit code.'],
  async run(invocation, context) {
    const input = { vm: one(invocation, 'vm'), command: [], ...invocation.flags };
    checkInput(operations.vm.exec, input);
    const tty = context.stdin.isTTY === true && context.stdout.isTTY === true;
    return attach(await context.client(), context, { ...(input as Omit<Attached, 'tty'>), tty });
  },
};
