// `role.remove`: one that is assigned to nobody.
import { VivError } from '../../contract/errors.ts';
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'role.remove'> = async ({ role: name }, { services: { access }, commit }) => {
  access.roles.show(name);
  const holder = access.users.all().find(({ grants }) => grants.some(({ role }) => role === name));
  if (holder)
    throw new VivError('in_use', `the role ${name} is assigned to ${holder.name}; take it from every user first: viv user revoke`);
  await access.roles.remove(name, commit);
  return { name };
};
