// API tokens: for programs. Shown once; they can do what both their own scope and their owner's roles allow at that moment.
import { z } from 'zod';
import { Text, Time } from './field.ts';
import { defineOperation } from './operation.ts';
import { PermissionPattern, ScopeText } from './role.ts';
import { UserName } from './user.ts';

export const Token = z.object({
  id: z.string().describe('Id of the token'),
  name: z.string().describe('What the token is for'),
  user: UserName.describe('Owner'),
  permissions: z.array(z.string()).nullable().describe('Permissions it is limited to; null: all that its owner has'),
  on: z.array(ScopeText).nullable().describe('Where it counts; null: wherever its owner has rights'),
  createdAt: Time.describe('Time of creation'),
  expiresAt: Time.describe('Time from which it is refused'),
  lastUsedAt: Time.nullable().describe('Time of the last use, to the minute; null: never'),
});

export type Token = z.infer<typeof Token>;

export const create = defineOperation({
  id: 'token.create',
  method: 'POST',
  path: '/v1/tokens',
  permission: 'signed-in',
  summary: 'Create an API token; its secret is shown once',
  input: z.object({
    name: Text.min(1).max(80).describe('What the token is for'),
    user: UserName.optional().describe('Owner, on the host’s socket (default: the caller)'),
    permission: z.array(PermissionPattern).min(1).max(200).optional().describe('Permission it is limited to, such as vm.read (repeatable)'),
    on: z.array(ScopeText).min(1).max(100).optional().describe('Where it counts, such as project:web (repeatable)'),
    days: z.int().min(1).max(366).default(90).describe('Days until it expires'),
  }),
  output: Token.extend({ secret: z.string().describe('The secret, shown only now') }),
  errors: ['not_found', 'ambiguous', 'busy'],
  cli: { words: 'token create', section: 'Access', args: ['name'], custom: true },
});

export const list = defineOperation({
  id: 'token.list',
  method: 'GET',
  path: '/v1/tokens',
  permission: 'signed-in',
  summary: 'List API tokens: the caller’s, or everybody’s for an administrator',
  input: z.object({}),
  output: z.array(Token),
  errors: [],
  cli: { words: 'token ls', section: 'Access', prints: 'token-table' },
});

export const remove = defineOperation({
  id: 'token.remove',
  method: 'DELETE',
  path: '/v1/tokens/{token}',
  permission: 'signed-in',
  summary: 'Revoke an API token',
  input: z.object({ token: z.string().max(64).describe('Id of the token') }),
  output: z.object({ id: z.string().describe('Id of the token that was revoked') }),
  errors: ['not_found', 'busy'],
  cli: { words: 'token rm', section: 'Access', args: ['token...'] },
});
