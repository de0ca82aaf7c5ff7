// `role.create`.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'role.create'> = ({ role: name, permission: permissions, summary }, { services, commit }) =>
  services.access.roles.create({ name, summary, permissions }, commit, Date.now());
