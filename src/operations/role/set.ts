// `role.set`.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'role.set'> = ({ role, permission }, { services, commit }) =>
  services.access.roles.set(role, permission, commit);
