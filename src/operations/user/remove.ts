// `user.remove`: with sessions and tokens.
import type { HandlerOf } from '../handler.ts';
import { checkNoToken } from './one.ts';

export const handler: HandlerOf<'user.remove'> = async ({ user: name }, call) => {
  checkNoToken(call);
  const { users, sessions, tokens } = call.services.access;
  const { id } = users.get(name);
  await users.remove(name, call.commit, ...sessions.endAllOf(id), ...tokens.removeAllOf(id));
  return { name };
};
