// `user.password`: one's own with the current one, anybody's for those who manage users. Every other session of the user ends.
import { VivError } from '../../contract/errors.ts';
import type { HandlerOf } from '../handler.ts';
import { checkNoToken, checkOwnOr, viewOf } from './one.ts';

export const handler: HandlerOf<'user.password'> = async ({ user: name, password, current }, call) => {
  checkNoToken(call);
  const { own } = checkOwnOr('user.manage', name, call);
  const { services, caller, commit } = call;
  const { users, sessions, signIn } = services.access;
  if (own && users.get(name).password !== null) {
    if (current === undefined) throw new VivError('invalid', 'the current password is missing; give it as current');
    await signIn.checkPassword(name, current, caller.from);
  }
  const hashed = await signIn.hash(password);
  const { id } = users.get(name);
  return viewOf(
    await users.update(name, () => ({ password: hashed }), commit, ...sessions.endAllOf(id, own ? caller.session : null)),
    services,
  );
};
