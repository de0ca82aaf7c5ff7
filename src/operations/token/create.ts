// `token.create`: for oneself; on the host's socket, for anybody.
import { VivError } from '../../contract/errors.ts';
import { scopeFrom } from '../access/scope.ts';
import type { HandlerOf } from '../handler.ts';
import { checkNoToken, identityOf } from '../user/one.ts';
import { viewOf } from './one.ts';

const dayMs = 24 * 3_600_000;

export const handler: HandlerOf<'token.create'> = async ({ name, user, permission, on, days }, call) => {
  checkNoToken(call);
  const { services, caller, commit } = call;
  const { access } = services;
  const identity = identityOf(call);
  if (user !== undefined && user !== identity.user?.name && !identity.isOwner)
    throw new VivError('forbidden', 'a token is made by its owner, or by root on the host itself; leave the user out');
  const owner = user === undefined ? identity.user : access.users.get(user);
  if (!owner) throw new VivError('invalid', `${caller.name} is no user, so a token needs an owner; name one with --user`);
  const scopes = on === undefined ? null : await Promise.all(on.map((text) => scopeFrom(text, identity, services)));
  const given = { name, userId: owner.id, permissions: permission ?? null, scopes, expiresAt: Date.now() + days * dayMs };
  const { token, secret } = await access.tokens.create(given, commit);
  return { ...viewOf(token, services), secret };
};
