// `forward.list`.
import type { HandlerOf } from '../../task/handler.ts';

export const handler: HandlerOf<'forward.list'> = async ({ vm }, { services: { vms } }) => {
  const { forwards } = vms.networks;
  const some = vm === undefined ? forwards.records.all() : forwards.of(vms.find(vm).id);
  return Promise.all(some.map((one) => forwards.view(one)));
};
