// `snapshot.show`: one snapshot.
import type { HandlerOf } from '../../task/handler.ts';
import { viewOf } from './view.ts';

export const handler: HandlerOf<'snapshot.show'> = ({ vm: vmRef, snapshot }, { services: { vms } }) => {
  const vm = vms.find(vmRef);
  return viewOf(vms.snapshots.find(vm, snapshot), vm, vms);
};
