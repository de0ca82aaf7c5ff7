// `audit.follow`.
import type { HandlerOf } from '../../task/handler.ts';

export const handler: HandlerOf<'audit.follow'> = ({ after, ...filter }, { services, signal }) =>
  services.audit.follow(after, filter, signal);
