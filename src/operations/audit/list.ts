// `audit.list`.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'audit.list'> = (filter, { services }) => services.audit.list(filter);
