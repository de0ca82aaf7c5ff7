// `user.set`: a disabled user loses every session and token in the same transaction.
import type { HandlerOf } from '../handler.ts';
import { checkNoToken, viewOf } from './one.ts';

export const handler: HandlerOf<'user.set'> = async ({ user: name, disabled, uid }, call) => {
  checkNoToken(call);
  const { services, commit } = call;
  const { users, sessions, tokens } = services.access;
  const { id } = users.get(name);
  const ended = disabled === true ? [...sessions.endAllOf(id), ...tokens.removeAllOf(id)] : [];
  const change = { ...(disabled === undefined ? {} : { disabled }), ...(uid === undefined ? {} : { uid }) };
  return viewOf(await users.update(name, () => change, commit, ...ended), services);
};
