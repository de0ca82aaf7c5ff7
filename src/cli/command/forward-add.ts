// `viv forward add NAME FORWARD...`: all of them in one call, so that they come together or not at all.
import { operations } from '../../contract/index.ts';
import { checkInput } from '../check-input.ts';
import { type Command, one } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { perform } from '../perform.ts';
import { forwardTable } from '../render/forward.ts';

const operation = operations.forward.add;
const shape = shapeOf(operation);

export const command: Command = {
  ...shape,
  args: shape.args.map((argument) => (argument.field === 'forwards' ? { ...argument, label: 'FORWARD' } : argument)),
  examples: ['viv forward add web 8080:80', 'viv forward add dns 127.0.0.1:5353:53/udp 127.0.0.1:5353:53/tcp'],
  async run(invocation, context) {
    const { json, ...flags } = invocation.flags;
    const vm = one(invocation, 'vm');
    const input = { ...flags, vm, forwards: [...(invocation.args['forwards'] ?? [])] };
    checkInput(operation, input);
    const client = await context.client();
    const forwards = await perform(context, `forward ${vm}`, (options) => client.forward.add(input, options));
    await context.print(json === true ? asJson(forwards) : forwardTable(forwards, context.width).join('\n'));
    return 0;
  },
};
