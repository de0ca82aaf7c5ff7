// `vm.view`: where a machine's screen can be seen.

import type { HandlerOf } from '../../task/handler.ts';
import { decide } from '../../vm/decide.ts';

export const handler: HandlerOf<'vm.view'> = async ({ vm }, { services }) => {
  const machine = services.machines.find(vm);
  decide('view', machine.record);
  return { protocol: 'vnc', socket: machine.paths.vnc };
};
