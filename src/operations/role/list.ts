// `role.list`.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'role.list'> = async (_input, { services }) => services.access.roles.list();
