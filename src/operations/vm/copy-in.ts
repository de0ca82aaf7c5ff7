// `vm.copyIn`: unpacks a tar stream inside a machine.

import type { HandlerOf } from '../../task/handler.ts';
import { decide } from '../../vm/decide.ts';
import { copyAgent } from './copy-agent.ts';

export const handler: HandlerOf<'vm.copyIn'> = async ({ vm, path, waitMs }, { services, signal }, body) => {
  const machine = services.machines.find(vm);
  decide('exec', machine.record);
  const agent = await copyAgent(machine, waitMs, signal);
  return agent.copyIn(path, body, signal);
};
