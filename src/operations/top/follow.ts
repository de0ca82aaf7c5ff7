// `top.follow`: what the monitor saw last, again and again.
import { setTimeout as delay } from 'node:timers/promises';
import type { HandlerOf } from '../handler.ts';
import { topOf } from './latest.ts';

export const handler: HandlerOf<'top.follow'> = async function* ({ everyMs, vm: ref }, { services, signal }) {
  const only = ref === undefined ? undefined : services.vms.find(ref).id;
  while (!signal.aborted) {
    const { vms, ...rest } = topOf(services);
    yield { ...rest, vms: only === undefined ? vms : vms.filter(({ id }) => id === only) };
    await delay(everyMs, undefined, { signal }).catch(() => {});
  }
};
