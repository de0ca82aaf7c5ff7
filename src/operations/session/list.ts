// `session.list`: one's own; everybody's for those who see users.
import type { HandlerOf } from '../handler.ts';
import { identityOf } from '../user/one.ts';
import { viewOf } from './one.ts';

export const handler: HandlerOf<'session.list'> = async (_input, call) => {
  const identity = identityOf(call);
  const all = identity.may('user.read', null);
  return call.services.access.sessions
    .list()
    .filter(({ userId }) => all || userId === identity.ref.user)
    .map((session) => viewOf(session, identity.ref.session, call.services));
};
