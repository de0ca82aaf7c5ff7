// `user.totp-remove`.
import type { HandlerOf } from '../handler.ts';
import { checkNoToken, viewOf } from './one.ts';

export const handler: HandlerOf<'user.totp-remove'> = async ({ user }, call) => {
  checkNoToken(call);
  const { services, commit } = call;
  return viewOf(await services.access.users.update(user, () => ({ totp: null, recoveryCodes: [] }), commit), services);
};
