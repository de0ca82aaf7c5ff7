// `forward.list`.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'forward.list'> = async ({ vm }, { services: { networks, vms } }) => {
  const { forwards } = networks;
  const some = vm === undefined ? forwards.records.all() : forwards.of(vms.find(vm).id);
  return Promise.all(some.map((one) => forwards.view(one)));
};
