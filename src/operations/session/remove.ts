// `session.remove`: sign-out, or the end of another session of one's own; anybody's for those who manage users.
import { VivError } from '../../contract/errors.ts';
import type { HandlerOf } from '../handler.ts';
import { identityOf } from '../user/one.ts';

export const handler: HandlerOf<'session.remove'> = async ({ session }, call) => {
  const identity = identityOf(call);
  const { user, session: own } = identity.ref;
  const id = session === 'current' ? own : session;
  if (id === null) throw new VivError('not_found', 'this request has no session; it is signed in by other means');
  await call.services.access.sessions.end(id, identity.may('user.manage', null) ? null : (user ?? ''), call.commit);
  if (id === own) call.setCookie(null);
  return { id };
};
