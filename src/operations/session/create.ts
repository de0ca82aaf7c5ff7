// `session.create`.
import type { HandlerOf } from '../handler.ts';
import { beginSession } from './one.ts';

export const handler: HandlerOf<'session.create'> = async ({ user: name, password, code, into }, call) => {
  const { user, change, method } = await call.services.access.signIn.check({ user: name, password, code }, call.caller.from);
  return beginSession(user, change, method, into, call);
};
