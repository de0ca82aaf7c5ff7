// `user.create`.
import { hashPassword } from '../../access/user/password.ts';
import type { HandlerOf } from '../handler.ts';
import { checkNoToken, viewOf } from './one.ts';

export const handler: HandlerOf<'user.create'> = async ({ user: name, password, uid, role }, call) => {
  checkNoToken(call);
  const { services, commit } = call;
  const { users, roles } = services.access;
  const grants = role === undefined ? [] : [{ role: roles.show(role).name, scope: { kind: 'host' } as const }];
  const hashed = password === undefined ? null : await hashPassword(password);
  return viewOf(await users.create({ name, password: hashed, uid: uid ?? null, grants }, commit, Date.now()), services);
};
