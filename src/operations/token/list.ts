// `token.list`: one's own; everybody's for those who see users.
import type { HandlerOf } from '../handler.ts';
import { identityOf } from '../user/one.ts';
import { viewOf } from './one.ts';

export const handler: HandlerOf<'token.list'> = async (_input, call) => {
  const identity = identityOf(call);
  const all = identity.may('user.read', null);
  const { access } = call.services;
  return access.tokens
    .list()
    .filter(({ userId }) => all || userId === identity.ref.user)
    .map((token) => viewOf(token, call.services));
};
