// `user.grant`.
import { sameScope } from '../../access/user/users.ts';
import { scopeFrom } from '../access/scope.ts';
import type { HandlerOf } from '../handler.ts';
import { checkNoToken, identityOf, viewOf } from './one.ts';

export const handler: HandlerOf<'user.grant'> = async ({ user, role, on }, call) => {
  checkNoToken(call);
  const { services, commit } = call;
  const { users, roles } = services.access;
  const grant = { role: roles.show(role).name, scope: await scopeFrom(on, identityOf(call), services) };
  const change = ({ grants }: { grants: { role: string; scope: typeof grant.scope }[] }) => ({
    grants: [...grants.filter((one) => one.role !== role || !sameScope(one.scope, grant.scope)), grant],
  });
  return viewOf(await users.update(user, change, commit), services);
};
