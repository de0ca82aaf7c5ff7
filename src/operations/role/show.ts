// `role.show`.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'role.show'> = async ({ role }, { services }) => services.access.roles.show(role);
