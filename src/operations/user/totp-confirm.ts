// `user.totp-confirm`.
import type { HandlerOf } from '../handler.ts';
import { checkNoToken, checkOwnOr } from './one.ts';

export const handler: HandlerOf<'user.totp-confirm'> = async ({ user, code }, call) => {
  checkNoToken(call);
  checkOwnOr('user.manage', user, call);
  return call.services.access.signIn.confirmTotp(user, code, call.caller.from, call.commit);
};
