// `viv exec NAME -- CMD ARG...`
import { VivError } from '../../contract/errors.ts';
import { operations } from '../../contract/index.ts';
import { type Command, one } from '../command.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';
import { describeProblem } from '../problem.ts';
import { type Attached, attach, needTerminal } from '../terminal/attach.ts';

/** As timeout(1) ends where the time is over; a command may end with any code below 124 itself. */
const timedOutCode = 124;

const shape = shapeOf(operations.vm.exec, ['command', 'terminal']);

export const command: Command = {
  ...shape,
  flags: [
    ...shape.flags.filter((flag) => flag.field !== 'json'),
    { name: 'tty', field: 'tty', kind: 'boolean', short: 't', help: 'Run the command on a terminal' },
  ],
  rest: {
    label: 'COMMAND ARG...',
    required: true,
    help: 'Command to run; viv ends with its exit code, or 128 plus the number of the signal that ended it.',
  },
  notes: [
    'With --timeout viv ends with 124 when the command was killed.',
    'The command reads standard input; in a loop that reads its own input use --no-stdin. Ctrl-C and SIGTERM go to the command; three in a row detach from a guest that does not react.',
  ],
  examples: ['viv exec web -- systemctl status', 'tar c site | viv exec web --cwd /srv -- tar x', 'viv exec -t web -- top'],
  async run(invocation, context) {
    const { tty, ...flags } = invocation.flags;
    const input = { vm: one(invocation, 'vm'), command: [...(invocation.rest ?? [])], ...flags };
    checkInput(operations.vm.exec, input);
    if (tty === true) needTerminal(context);
    try {
      return await attach(await context.client(), context, { ...(input as Omit<Attached, 'tty'>), tty: tty === true });
    } catch (error) {
      if (!(error instanceof VivError && error.code === 'timeout' && flags['timeoutMs'] !== undefined)) throw error;
      context.screen.say(describeProblem(error, context.env));
      return timedOutCode;
    }
  },
};
