// `vm.list`.
import type { HandlerOf } from '../../task/handler.ts';
import { viewOf } from './one.ts';

export const handler: HandlerOf<'vm.list'> = async ({ state }, { services }) =>
  services.machines
    .list()
    .filter((machine) => state === undefined || machine.record.state === state)
    .map((machine) => viewOf(machine, services));
