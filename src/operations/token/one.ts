// What the API shows of a token.
import type { TokenRecord } from '../../access/session/tokens.ts';
import type { Token } from '../../contract/token.ts';
import { scopeText } from '../access/scope.ts';
import type { Services } from '../services.ts';

export function viewOf(token: TokenRecord, services: Services): Token {
  const { id, name, userId, permissions, scopes, createdAt, expiresAt } = token;
  const { users, tokens } = services.access;
  return {
    ...{ id, name, user: users.byId(userId)?.name ?? userId, permissions, createdAt, expiresAt },
    on: scopes?.map((scope) => scopeText(scope, services) ?? `${scope.kind}:removed`) ?? null,
    lastUsedAt: tokens.lastUsedAt(token),
  };
}
