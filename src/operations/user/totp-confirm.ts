// `user.totpConfirm`.
import type { HandlerOf } from '../../task/handler.ts';
import { checkNoToken, checkOwnOr } from './one.ts';

export const handler: HandlerOf<'user.totpConfirm'> = async ({ user, code }, call) => {
  checkNoToken(call);
  checkOwnOr('user.change', user, call);
  return call.services.access.signIn.confirmTotp(user, code, call.caller.from, call.commit);
};
