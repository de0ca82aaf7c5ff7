// A user as the store has it, key `access/user/<name>`. Others refer to a user by its id, so that one of the same name made later inherits nothing.
import { z } from 'zod';
import { Name, Time } from '../../contract/field.ts';
import { objectKinds } from '../../contract/role.ts';
import { UserName } from '../../contract/user.ts';

/** Where a role counts, by ids. */
export const Scope = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('host') }),
  z.object({ kind: z.enum(['project', ...objectKinds]), id: z.string() }),
]);
export type Scope = z.infer<typeof Scope>;

export const GrantRecord = z.object({ role: Name, scope: Scope });
export type GrantRecord = z.infer<typeof GrantRecord>;

export const PasskeyRecord = z.object({
  id: z.string(),
  publicKey: z.string(),
  counter: z.int().nonnegative(),
  transports: z.array(z.string()),
  name: z.string(),
  createdAt: Time,
  lastUsedAt: Time.nullable(),
});
export type PasskeyRecord = z.infer<typeof PasskeyRecord>;

export const UserRecord = z.object({
  id: z.string(),
  name: UserName,
  uid: z.int().nonnegative().nullable(),
  disabled: z.boolean(),
  grants: z.array(GrantRecord),
  /** PHC string; null: the user has no password. */
  password: z.string().nullable(),
  /** `lastStep`: the latest step whose code was used. */
  totp: z.object({ secret: z.string(), confirmed: z.boolean(), lastStep: z.int() }).nullable(),
  /** Hashes of the recovery codes that are left. */
  recoveryCodes: z.array(z.string()),
  passkeys: z.array(PasskeyRecord),
  /** Identities at OIDC providers: issuer and subject, never an e-mail address. */
  identities: z.array(z.object({ issuer: z.string(), subject: z.string() })),
  createdAt: Time,
  lastSignInAt: Time.nullable(),
});
export type UserRecord = z.infer<typeof UserRecord>;
