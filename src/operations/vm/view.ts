// `vm.view`: where a VM's screen can be seen.

import { decide } from '../../vm/decide.ts';
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'vm.view'> = async ({ vm: vmRef }, { services }) => {
  const vm = services.vms.find(vmRef);
  decide('view', vm);
  return { protocol: 'vnc', socket: vm.paths.vnc };
};
