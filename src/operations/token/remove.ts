// `token.remove`: one's own (a token may revoke itself), anybody's for those who manage users.
import type { HandlerOf } from '../handler.ts';
import { identityOf } from '../user/one.ts';

export const handler: HandlerOf<'token.remove'> = async ({ token: id }, call) => {
  const identity = identityOf(call);
  const { access } = call.services;
  await access.tokens.remove(id, identity.may('user.manage', null) ? null : (identity.ref.user ?? ''), call.commit);
  return { id };
};
