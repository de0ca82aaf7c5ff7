// `viv ls`: the VMs of this host.
import { operations } from '../../contract/index.ts';
import type { VmState } from '../../contract/vm-state.ts';
import { checkInput } from '../check-input.ts';
import { type Command, quietFlag } from '../command.ts';
import { asJson } from '../context.ts';
import { shapeOf } from '../generic.ts';
import { vmTable } from '../render/vm.ts';

const shape = shapeOf(operations.vm.list);

export const command: Command = {
  ...shape,
  flags: [...shape.flags, quietFlag],
  async run({ flags }, context) {
    const { json, quiet, ...input } = flags;
    checkInput(operations.vm.list, input);
    const client = await context.client();
    const vms = await client.vm.list(input as { state?: VmState }, { signal: context.interrupts.signal });
    if (json === true) await context.print(asJson(vms));
    else if (quiet === true) {
      if (vms.length > 0) await context.print(vms.map((vm) => vm.name).join('\n'));
    } else {
      await context.print(vmTable(vms, context.width).join('\n'));
      if (vms.length === 0 && context.interactive) context.screen.say('no VMs yet; make one with: viv run tiny');
    }
    return 0;
  },
};
