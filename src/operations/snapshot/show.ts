// `snapshot.show`: one snapshot.
import type { HandlerOf } from '../handler.ts';
import { unreadableView, viewOf } from './view.ts';

export const handler: HandlerOf<'snapshot.show'> = async ({ vm: vmRef, snapshot }, { services }) => {
  const vm = services.vms.find(vmRef);
  const unreadable = services.snapshots.unreadableOf(vm.id, snapshot);
  if (unreadable) return unreadableView(unreadable, vm);
  return viewOf(services.snapshots.find(vm, snapshot), vm, services);
};
