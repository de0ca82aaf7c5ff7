// `event.list`: the latest events, or those after a sequence number.
import { isOfType } from '../../contract/event.ts';
import type { HandlerOf } from '../handler.ts';

/** As many as the log keeps. */
const all = 20_000;

export const handler: HandlerOf<'event.list'> = async ({ after, limit, type }, { services }) => {
  const from = after === undefined ? {} : { after };
  if (type === undefined) return services.events.list({ limit, ...from });
  const found = (await services.events.list({ limit: all, ...from })).filter((event) => isOfType(event, type));
  return after === undefined ? found.slice(-limit) : found.slice(0, limit);
};
