// `vm.view`: where a machine's screen can be seen.
import { decide } from '../../machine/decide.ts';
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'vm.view'> = async ({ vm }, { services }) => {
  const machine = services.machines.find(vm);
  decide('view', machine.record);
  return { protocol: 'vnc', socket: machine.paths.vnc };
};
