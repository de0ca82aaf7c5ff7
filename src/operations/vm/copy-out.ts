// `vm.copy-out`: a file or tree from inside a VM, as a tar stream.

import { decide } from '../../vm/decide.ts';
import type { HandlerOf } from '../handler.ts';
import { copyAgent } from './copy-agent.ts';

export const handler: HandlerOf<'vm.copy-out'> = async ({ vm: vmRef, path, waitMs }, { services, signal }) => {
  const vm = services.vms.find(vmRef);
  decide('exec', vm);
  const agent = await copyAgent(vm, waitMs, signal);
  return { stream: agent.copyOut(path, signal), contentType: 'application/x-tar' };
};
