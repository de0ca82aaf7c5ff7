// `vm.copy-in`: unpacks a tar stream inside a VM.

import { decide } from '../../vm/decide.ts';
import type { HandlerOf } from '../handler.ts';
import { copyAgent } from './copy-agent.ts';

export const handler: HandlerOf<'vm.copy-in'> = async ({ vm: vmRef, path, waitMs }, { services, signal }, body) => {
  const vm = services.vms.find(vmRef);
  decide('exec', vm);
  const agent = await copyAgent(vm, waitMs, signal);
  return agent.copyIn(path, body, signal);
};
