// `vm.copyOut`: a file or tree from inside a machine, as a tar stream.

import type { HandlerOf } from '../../task/handler.ts';
import { decide } from '../../vm/decide.ts';
import { copyAgent } from './copy-agent.ts';

export const handler: HandlerOf<'vm.copyOut'> = async ({ vm, path, waitMs }, { services, signal }) => {
  const machine = services.machines.find(vm);
  decide('exec', machine.record);
  const agent = await copyAgent(machine, waitMs, signal);
  return { stream: agent.copyOut(path, signal), contentType: 'application/x-tar' };
};
