// Users: people and programs that may use this host, what they sign in with, and the roles they are given.
import { z } from 'zod';
import { Name, Text, Time } from './field.ts';
import { defineOperation } from './operation.ts';
import { ScopeText } from './role.ts';

export const UserName = z
  .string()
  .max(64, 'a user name has at most 64 characters')
  .regex(/^[a-z][a-z0-9._-]*$/, 'a user name is made of a-z, 0-9, dot, dash and underscore, and starts with a letter');

/** NIST SP 800-63B-4: length is what counts, composition rules are not asked for. */
export const Password = z.string().min(12, 'a password has at least 12 characters').max(256, 'a password has at most 256 characters');

export const Grant = z.object({
  role: Name.describe('Name of the role'),
  on: ScopeText.describe('Where it counts, with the names of today: host, project:NAME, vm:NAME, network:NAME or image:NAME'),
});

export type Grant = z.infer<typeof Grant>;

const PasskeyInfo = z.object({
  id: z.string().describe('Id of the credential'),
  name: z.string().describe('Name that the user gave it'),
  createdAt: Time.describe('Time of registration'),
  lastUsedAt: Time.nullable().describe('Time of the last sign-in with it; null: never'),
});

export const User = z.object({
  id: z.string().describe('Id, never used again'),
  name: UserName.describe('Name, unique on this host'),
  uid: z.int().nullable().describe('Local account whose processes are this user on the host’s socket; null: none'),
  disabled: z.boolean().describe('Whether every sign-in and token is refused'),
  grants: z.array(Grant).describe('Roles, and where they count'),
  signIn: z
    .object({
      password: z.boolean().describe('Whether the user has a password'),
      totp: z.boolean().describe('Whether one-time codes are asked for'),
      recoveryCodes: z.int().describe('Number of recovery codes that are left'),
      passkeys: z.array(PasskeyInfo).describe('Passkeys'),
      identities: z
        .array(
          z.object({ issuer: z.string().describe('URL of the OIDC provider'), subject: z.string().describe('Subject at that provider') }),
        )
        .describe('Identities at OIDC providers'),
    })
    .describe('What the user can sign in with'),
  createdAt: Time.describe('Time of creation'),
  lastSignInAt: Time.nullable().describe('Time of the last sign-in; null: never'),
});

export type User = z.infer<typeof User>;

const user = UserName.describe('Name of the user');
const One = z.object({ user });
const uid = z.int().min(0).max(4294967294);
const GrantInput = One.extend({
  role: Name.describe('Role that is assigned'),
  on: ScopeText.default('host').describe('Where it counts: host, project:NAME, vm:NAME, network:NAME or image:NAME'),
});

export const create = defineOperation({
  id: 'user.create',
  method: 'POST',
  path: '/v1/users',
  permission: 'user.manage',
  summary: 'Create a user',
  input: One.extend({
    password: Password.optional().describe('Password; none: the user signs in by other means'),
    uid: uid.optional().describe('Local account that is this user on the host’s socket'),
    role: Name.optional().describe('Role on the whole host'),
  }),
  output: User,
  errors: ['name_taken', 'not_found', 'busy'],
  cli: { words: 'user create', section: 'Access', args: ['user'], custom: true },
});

export const list = defineOperation({
  id: 'user.list',
  method: 'GET',
  path: '/v1/users',
  permission: 'user.read',
  summary: 'List the users',
  input: z.object({}),
  output: z.array(User),
  errors: [],
  cli: { words: 'user ls', section: 'Access', prints: 'user-table' },
});

export const show = defineOperation({
  id: 'user.show',
  method: 'GET',
  path: '/v1/users/{user}',
  permission: 'signed-in',
  summary: 'Show a user',
  input: One,
  output: User,
  errors: ['not_found'],
  cli: { words: 'user show', section: 'Access', prints: 'user-sheet', args: ['user'] },
});

export const set = defineOperation({
  id: 'user.set',
  method: 'PATCH',
  path: '/v1/users/{user}',
  permission: 'user.manage',
  summary: 'Change a user; a disabled one loses every session and token at once',
  input: One.extend({
    disabled: z.boolean().optional().describe('Refuse every sign-in and token of the user'),
    uid: uid.nullable().optional().describe('Local account that is this user on the host’s socket'),
  }),
  output: User,
  errors: ['not_found', 'name_taken', 'busy'],
  cli: { words: 'user set', section: 'Access', args: ['user'] },
});

export const remove = defineOperation({
  id: 'user.remove',
  method: 'DELETE',
  path: '/v1/users/{user}',
  permission: 'user.manage',
  summary: 'Remove a user with its sessions and tokens; VMs stay',
  input: One,
  output: z.object({ name: UserName.describe('Name of the user that was removed') }),
  errors: ['not_found', 'busy'],
  risk: 'loss',
  cli: { words: 'user rm', section: 'Access', args: ['user...'], confirm: 'Remove the user {user}?' },
});

export const password = defineOperation({
  id: 'user.password',
  method: 'PUT',
  path: '/v1/users/{user}/password',
  permission: 'signed-in',
  summary: 'Set a password; the user’s other sessions end',
  input: One.extend({
    password: Password.describe('New password'),
    current: z.string().max(256).optional().describe('Current password, for one’s own account'),
  }),
  output: User,
  errors: ['not_found', 'rate_limited', 'busy'],
  cli: { words: 'user password', section: 'Access', args: ['user'], custom: true },
});

export const grant = defineOperation({
  id: 'user.grant',
  method: 'POST',
  path: '/v1/users/{user}/grant',
  permission: 'user.manage',
  summary: 'Assign a role to a user; takes effect immediately',
  input: GrantInput,
  output: User,
  errors: ['not_found', 'ambiguous', 'busy'],
  cli: { words: 'user grant', section: 'Access', args: ['user', 'role'] },
});

export const revoke = defineOperation({
  id: 'user.revoke',
  method: 'POST',
  path: '/v1/users/{user}/revoke',
  permission: 'user.manage',
  summary: 'Take a role from a user; takes effect immediately',
  input: GrantInput,
  output: User,
  errors: ['not_found', 'ambiguous', 'busy'],
  cli: { words: 'user revoke', section: 'Access', args: ['user', 'role'] },
});

export const totpBegin = defineOperation({
  id: 'user.totp-begin',
  method: 'POST',
  path: '/v1/users/{user}/totp-begin',
  permission: 'signed-in',
  summary: 'Begin to set up one-time codes; they are asked for once a valid code has confirmed them',
  input: One,
  output: z.object({
    secret: z.string().describe('Secret, in base 32'),
    uri: z.string().describe('What an authenticator reads from a QR code'),
  }),
  errors: ['not_found', 'wrong_state', 'busy'],
  cli: { words: 'user totp enable', section: 'Access', args: ['user'], custom: true },
});

export const totpConfirm = defineOperation({
  id: 'user.totp-confirm',
  method: 'POST',
  path: '/v1/users/{user}/totp-confirm',
  permission: 'signed-in',
  summary: 'Confirm one-time codes with a valid code; answers the recovery codes, once',
  input: One.extend({
    code: z
      .string()
      .regex(/^\d{6}$/, 'a one-time code has six digits')
      .describe('Code that the authenticator shows'),
  }),
  output: z.object({ recoveryCodes: z.array(z.string()).describe('Codes that each stand for one one-time code; shown only now') }),
  errors: ['not_found', 'wrong_state', 'rate_limited', 'busy'],
});

export const totpRemove = defineOperation({
  id: 'user.totp-remove',
  method: 'POST',
  path: '/v1/users/{user}/totp-remove',
  permission: 'user.manage',
  risk: 'loss',
  summary: 'Remove one-time codes and recovery codes from a user',
  input: One,
  output: User,
  errors: ['not_found', 'busy'],
  cli: { words: 'user totp disable', section: 'Access', args: ['user'], confirm: 'Remove the second factor of {user}?' },
});

/** Only for callers on the host's socket. */
export const recover = defineOperation({
  id: 'user.recover',
  method: 'POST',
  path: '/v1/users/{user}/recover',
  permission: 'user.manage',
  summary: 'Make a single-use link, valid for 15 minutes, by which a user sets a new password and loses the second factor',
  input: One,
  output: z.object({ link: z.string().describe('Link for the user'), expiresAt: Time.describe('Time from which it is refused') }),
  errors: ['not_found', 'unsupported'],
  cli: { words: 'access recover', section: 'Access', args: ['user'], custom: true },
});

export const can = defineOperation({
  id: 'user.can',
  method: 'GET',
  path: '/v1/users/{user}/can',
  permission: 'signed-in',
  summary: 'Say whether a user may do something to an object, and why not',
  input: One.extend({
    verb: Text.max(80)
      .regex(/^[a-zA-Z.-]+$/, 'a verb is written like start, vm.start or vm.read')
      .describe('What is to be done: start, snapshot.restore, image.import'),
    object: Text.max(200).optional().describe('VM, or project:NAME, network:NAME, image:NAME (default: the host)'),
  }),
  output: z.object({
    allowed: z.boolean().describe('Whether the user may'),
    permission: z.string().describe('Permission that it needs'),
    reason: z.string().nullable().describe('Why not'),
    through: z.array(Grant).describe('Role that allows it'),
  }),
  errors: ['not_found', 'ambiguous'],
  cli: { words: 'can', section: 'Access', args: ['user', 'verb', 'object?'], custom: true },
});
