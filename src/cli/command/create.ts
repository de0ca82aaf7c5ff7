// `viv create IMAGE [NAME]`: a VM that is made but not started; the same options as `viv run`.
import { operations } from '../../contract/index.ts';
import type { Command } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { pullMissing, sayNetwork, vmFlags, vmInput } from '../new-vm.ts';
import { checkInput } from '../parse/check-input.ts';
import { perform } from '../perform.ts';
import { clean } from '../render/text.ts';

export const command: Command = {
  ...shapeOf(operations.vm.create),
  flags: vmFlags(operations.vm.create),
  examples: ['viv create debian:12 web --cpus 2 --memory 1GiB --disk 10GiB'],
  async run(invocation, context) {
    const input = await vmInput(invocation, context);
    checkInput(operations.vm.create, input);
    const client = await context.client();
    await pullMissing(client, context, input.image);
    const vm = await perform(context, `create ${input.name ?? input.image}`, (options) => client.vm.create(input, options));
    await sayNetwork(client, context, input, vm);
    await context.print(invocation.flags['json'] === true ? asJson(vm) : clean(vm.name));
    return 0;
  },
};
