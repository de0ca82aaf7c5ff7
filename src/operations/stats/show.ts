// `stats.show`.
import { VivError } from '../../contract/errors.ts';
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'stats.show'> = async ({ vm: vmRef, sinceMs, untilMs, points }, { services }) => {
  if (untilMs >= sinceMs)
    throw new VivError('invalid', 'the time that --until means is before that of --since; there is nothing in between');
  const vm = vmRef === undefined ? null : services.vms.find(vmRef);
  const now = Date.now();
  const { stepMs, at, mean, max } = await services.histories.read(vm?.id ?? null, now - sinceMs, now - untilMs, now, points);
  return { vm: vm && { id: vm.id, name: vm.name }, stepMs, at: [...at], mean, max };
};
