// `event.follow`: what happens, as it happens; from a sequence number on, none is missed.
import { isOfType } from '../../contract/event.ts';
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'event.follow'> = async function* ({ after, type }, { services, signal }) {
  for await (const event of services.events.follow(after, signal)) if (type === undefined || isOfType(event, type)) yield event;
};
