// `forward.list`.
import { type Forward, parseForward } from '../../contract/forward.ts';
import type { UnreadableRecord } from '../../store/named-records.ts';
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'forward.list'> = async ({ vm }, { services: { networks, vms } }) => {
  const { forwards } = networks;
  if (vm !== undefined) return Promise.all(forwards.of(vms.find(vm).id).map((one) => forwards.view(one)));
  const { records } = forwards;
  return [...(await Promise.all(records.all().map((one) => forwards.view(one)))), ...records.unreadable().map(unreadableView)];
};

/** A port forward whose record cannot be read: shown so that it can be removed. */
const unreadableView = ({ name, why }: UnreadableRecord): Forward => ({
  ...parseForward(name),
  ...{ name, vm: '', nic: '', targets: [], state: 'failed', problem: why, createdAt: 0 },
});
