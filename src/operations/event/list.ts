// `event.list`: the latest events, or those after a sequence number.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'event.list'> = ({ after, limit }, { services }) =>
  services.events.list({ limit, ...(after === undefined ? {} : { after }) });
