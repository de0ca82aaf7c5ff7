// `user.totp-begin`: one's own.
import type { HandlerOf } from '../handler.ts';
import { checkNoToken, checkOwnOr } from './one.ts';

export const handler: HandlerOf<'user.totp-begin'> = async ({ user }, call) => {
  checkNoToken(call);
  checkOwnOr('user.manage', user, call);
  return call.services.access.signIn.beginTotp(user, call.commit);
};
