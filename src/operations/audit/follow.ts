// `audit.follow`.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'audit.follow'> = ({ after, ...filter }, { services, signal }) =>
  services.audit.follow(after, filter, signal);
