// Sessions: signing in and out, who is asking, and single-use secrets (set-up and recovery links, console tickets).
import { z } from 'zod';
import { Time } from './field.ts';
import { defineOperation } from './operation.ts';
import { Password, UserName } from './user.ts';

export const Session = z.object({
  id: z.string().describe('Id of the session'),
  user: UserName.describe('User who signed in'),
  method: z.enum(['password', 'recovery-code', 'passkey', 'oidc', 'link']).describe('How the user signed in'),
  address: z.string().nullable().describe('Network address of the sign-in; null: the host’s socket'),
  client: z.string().nullable().describe('What the client called itself'),
  current: z.boolean().describe('Whether this request belongs to it'),
  createdAt: Time.describe('Time of the sign-in'),
  lastUsedAt: Time.describe('Time of the last use, to the minute'),
  expiresAt: Time.describe('Time from which it is refused, if it is not used before'),
});

export type Session = z.infer<typeof Session>;

export const Identity = z.object({
  user: UserName.nullable().describe('User; null: a local account without one'),
  name: z.string().describe('Name for people'),
  via: z.enum(['socket', 'session', 'token']).describe('How the caller is known'),
  session: z.string().nullable().describe('Id of the session'),
  token: z.string().nullable().describe('Id of the token'),
  roles: z
    .array(z.object({ role: z.string().describe('Name of the role'), on: z.string().describe('Where it counts') }))
    .describe('Roles of the user, before the limits of a token'),
});

export type Identity = z.infer<typeof Identity>;

/** Where the secret of a new session goes: `cookie` for browsers, `answer` for programs. */
const into = z.enum(['cookie', 'answer']).default('answer').describe('Where the secret goes: a cookie or the answer');

export const SignedIn = Session.extend({
  secret: z.string().nullable().describe('Secret of the session, for the header Authorization: Bearer; null: it is in the cookie'),
});

export const create = defineOperation({
  id: 'session.create',
  method: 'POST',
  path: '/v1/sessions',
  permission: 'public',
  summary: 'Sign in with a password, and a one-time or recovery code where the user has set them up',
  input: z.object({
    user: UserName.describe('Name of the user'),
    password: z.string().max(256).describe('Password of the user'),
    code: z.string().max(40).optional().describe('One-time code or recovery code'),
    into,
  }),
  output: SignedIn,
  errors: ['unauthenticated', 'rate_limited', 'busy'],
  cli: { words: 'login', section: 'Access', custom: true },
});

export const whoami = defineOperation({
  id: 'session.whoami',
  method: 'GET',
  path: '/v1/sessions/whoami',
  permission: 'signed-in',
  summary: 'Say who is asking and with which roles',
  input: z.object({}),
  output: Identity,
  errors: [],
});

export const list = defineOperation({
  id: 'session.list',
  method: 'GET',
  path: '/v1/sessions',
  permission: 'signed-in',
  summary: 'List sessions: the caller’s, or everybody’s for an administrator',
  input: z.object({}),
  output: z.array(Session),
  errors: [],
  cli: { words: 'session ls', section: 'Access', prints: 'session-table' },
});

export const remove = defineOperation({
  id: 'session.remove',
  method: 'DELETE',
  path: '/v1/sessions/{session}',
  permission: 'signed-in',
  summary: 'End a session',
  input: z.object({ session: z.string().max(64).describe('Id of the session; current: the one that asks') }),
  output: z.object({ id: z.string().describe('Id of the session that ended') }),
  errors: ['not_found', 'busy'],
  cli: { words: 'session rm', section: 'Access', args: ['session...'] },
});

/** Only for callers on the host's socket. */
export const link = defineOperation({
  id: 'session.link',
  method: 'POST',
  path: '/v1/sessions/link',
  permission: 'signed-in',
  summary: 'Open the web console: print a single-use link that signs a browser in, valid for 15 minutes',
  input: z.object({}),
  output: z.object({
    link: z.string().describe('Link for the browser'),
    user: UserName.describe('User that it signs in'),
    expiresAt: Time.describe('Time from which it is refused'),
  }),
  errors: ['unsupported', 'name_taken', 'busy'],
  cli: { words: 'web', section: 'Host', custom: true },
});

export const redeem = defineOperation({
  id: 'session.redeem',
  method: 'POST',
  path: '/v1/sessions/redeem',
  permission: 'public',
  summary: 'Redeem a link and sign in; a set-up or recovery link sets a password as well',
  input: z.object({
    secret: z.string().max(100).describe('What follows # in the link'),
    user: UserName.optional().describe('Name of the first administrator, for a set-up link'),
    password: Password.optional().describe('New password, for a set-up or recovery link'),
    into,
  }),
  output: SignedIn,
  errors: ['unauthenticated', 'rate_limited', 'name_taken', 'busy'],
});
