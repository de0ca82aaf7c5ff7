// `snapshot.list`: a VM's snapshots, oldest first.
import type { HandlerOf } from '../handler.ts';
import { unreadableView, viewOf } from './view.ts';

export const handler: HandlerOf<'snapshot.list'> = async ({ vm: vmRef }, { services }) => {
  const vm = services.vms.findAny(vmRef);
  const snapshots = services.snapshots.of(vm.id).filter(({ complete }) => complete);
  const unreadable = services.snapshots.unreadable().filter((one) => one.vm === vm.id);
  return [
    ...(await Promise.all(snapshots.map((snapshot) => viewOf(snapshot, vm, services)))),
    ...unreadable.map((one) => unreadableView(one, vm)),
  ];
};
