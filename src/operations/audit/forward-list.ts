// `audit.forward-list`.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'audit.forward-list'> = async (_input, { services }) => services.auditForwards.list();
