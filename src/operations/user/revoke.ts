// `user.revoke`.
import { sameScope } from '../../access/user/users.ts';
import { VivError } from '../../contract/errors.ts';
import { scopeFrom } from '../access/scope.ts';
import type { HandlerOf } from '../handler.ts';
import { checkNoToken, identityOf, viewOf } from './one.ts';

export const handler: HandlerOf<'user.revoke'> = async ({ user, role, on }, call) => {
  checkNoToken(call);
  const { services, commit } = call;
  const { users } = services.access;
  const scope = await scopeFrom(on, identityOf(call), services);
  const left = users.get(user).grants.filter((one) => one.role !== role || !sameScope(one.scope, scope));
  if (left.length === users.get(user).grants.length)
    throw new VivError('not_found', `${user} does not have the role ${role} on ${on}; viv user show ${user} lists the roles`);
  return viewOf(await users.update(user, () => ({ grants: left }), commit), services);
};
