// `snapshot.list`: a VM's snapshots, oldest first.
import type { HandlerOf } from '../handler.ts';
import { viewOf } from './view.ts';

export const handler: HandlerOf<'snapshot.list'> = async ({ vm: vmRef }, { services }) => {
  const vm = services.vms.find(vmRef);
  const snapshots = services.snapshots.of(vm.id).filter(({ complete }) => complete);
  return Promise.all(snapshots.map((snapshot) => viewOf(snapshot, vm, services)));
};
