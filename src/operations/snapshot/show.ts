// `snapshot.show`: one snapshot.
import type { HandlerOf } from '../handler.ts';
import { viewOf } from './view.ts';

export const handler: HandlerOf<'snapshot.show'> = ({ vm: vmRef, snapshot }, { services }) => {
  const vm = services.vms.find(vmRef);
  return viewOf(services.snapshots.find(vm, snapshot), vm, services);
};
