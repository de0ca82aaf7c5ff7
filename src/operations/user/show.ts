// `user.show`: oneself, or anybody for those who see users.
import type { HandlerOf } from '../handler.ts';
import { checkOwnOr, viewOf } from './one.ts';

export const handler: HandlerOf<'user.show'> = async ({ user }, call) => {
  checkOwnOr('user.read', user, call);
  return viewOf(call.services.access.users.get(user), call.services);
};
