// `event.follow`: what happens, as it happens; from a sequence number on, none is missed.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'event.follow'> = ({ after }, { services, signal }) => services.events.follow(after, signal);
