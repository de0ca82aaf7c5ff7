// `session.redeem`: a set-up link makes the first administrator; a recovery link sets a new password and removes the second factor; a sign-in link only
// signs in. Each works once.
import { VivError } from '../../contract/errors.ts';
import type { HandlerOf } from '../handler.ts';
import { beginSession } from './one.ts';

export const handler: HandlerOf<'session.redeem'> = async ({ secret, user: name, password, into }, call) => {
  const { access } = call.services;
  const wrong = () => new VivError('unauthenticated', 'this link is unknown, used or older than 15 minutes; make a new one on the host');
  const purpose = access.links.look(secret);
  if (!purpose) throw wrong();
  if (purpose.kind === 'set-up' && name === undefined)
    throw new VivError('invalid', 'user is missing: the name of the first administrator');
  if (purpose.kind === 'set-up' && access.users.byName(name ?? ''))
    throw new VivError('name_taken', `there is a user named ${name} already; choose another name`);
  if (purpose.kind === 'sign-in') {
    const user = access.users.byId(purpose.user);
    if (!access.links.redeem(secret) || !user || user.disabled) throw wrong();
    return beginSession(user, { lastSignInAt: Date.now() }, 'link', into, call);
  }
  if (password === undefined) throw new VivError('invalid', 'password is missing: the new password of the user');
  const hashed = await access.signIn.hash(password);
  // Used up only now, so that a wrong name does not cost the link; and once, even if others redeem it meanwhile.
  if (!access.links.redeem(secret)) throw wrong();
  if (purpose.kind === 'set-up') {
    const grants = [{ role: 'administrator', scope: { kind: 'host' } as const }];
    const user = await access.users.create({ name: name ?? '', password: hashed, uid: null, grants }, call.commit, Date.now());
    return beginSession(user, { lastSignInAt: Date.now() }, 'link', into, call);
  }
  const user = access.users.byId(purpose.user);
  if (!user || user.disabled) throw wrong();
  const change = { password: hashed, totp: null, recoveryCodes: [], lastSignInAt: Date.now() };
  return beginSession(
    await access.users.update(user.name, () => ({}), call.commit, ...access.sessions.endAllOf(user.id)),
    change,
    'link',
    into,
    call,
  );
};
