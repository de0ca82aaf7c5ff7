// `vm.list`.
import type { HandlerOf } from '../handler.ts';
import { viewOf } from './one.ts';

export const handler: HandlerOf<'vm.list'> = async ({ state }, { services }) =>
  services.vms
    .list()
    .filter((vm) => state === undefined || vm.record.state === state)
    .map((vm) => viewOf(vm, services));
