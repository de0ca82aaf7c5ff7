// `viv fork NAME[@SNAPSHOT]`: VMs that continue from the present state of another one, or from one of its snapshots.
import { operations } from '../../contract/index.ts';
import { type Command, one } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { checkInput } from '../parse/check-input.ts';
import { perform } from '../perform.ts';

const shape = shapeOf(operations.vm.fork);

export const command: Command = {
  ...shape,
  args: shape.args.map((argument) => ({
    ...argument,
    label: 'NAME[@SNAPSHOT]',
    help: 'VM, or one of its snapshots (viv snapshot ls NAME)',
  })),
  notes: [
    'A fork has the memory, the processes and the disks of the other VM, and its own identity.',
    'A fork of a stopped VM, or of a snapshot without memory, is stopped and backed by the same files. With --full it is independent:',
    'the other VM, its snapshots and its image can be removed.',
  ],
  examples: [
    'viv fork web',
    'viv fork web --count 10 --name worker-{}',
    'viv fork web@before-upgrade --name trial',
    'viv fork web@disks --full --name other-web',
  ],
  async run(invocation, context) {
    const { json, ...flags } = invocation.flags;
    const [vm = '', ...rest] = one(invocation, 'vm').split('@');
    const input = { vm, ...(rest.length > 0 ? { snapshot: rest.join('@') } : {}), ...flags };
    checkInput(operations.vm.fork, input);
    const client = await context.client();
    const vms = await perform(context, `fork ${vm}`, (options) => client.vm.fork(input, options));
    await context.print(json === true ? asJson(vms) : vms.map(({ name }) => name).join('\n'));
    return 0;
  },
};
