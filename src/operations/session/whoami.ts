// `session.whoami`: who is asking.

import { scopeText } from '../access/scope.ts';
import type { HandlerOf } from '../handler.ts';
import { identityOf } from '../user/one.ts';

export const handler: HandlerOf<'session.whoami'> = async (_input, call) => {
  const { ref, user, isOwner } = identityOf(call);
  const roles = (user?.grants ?? []).flatMap(({ role, scope }) => {
    const on = scopeText(scope, call.services);
    return on === null ? [] : [{ role, on }];
  });
  const via = ref.via === 'session' || ref.via === 'token' ? ref.via : 'socket';
  return {
    ...{ user: user?.name ?? null, name: ref.name, via, session: ref.session, token: ref.token },
    roles: isOwner ? [{ role: 'administrator', on: 'host' }] : roles,
  };
};
