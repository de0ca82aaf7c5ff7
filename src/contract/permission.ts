// Which permissions the built-in roles have. A rule over nouns and verbs, so that a new operation belongs to the right roles by the permission it declares.
import type { Permission } from './operation.ts';

export const builtInRoles = ['viewer', 'operator', 'administrator'] as const;
export type BuiltInRole = (typeof builtInRoles)[number];

/** Nouns that belong to the whole host: who is not an administrator only reads them. */
const hostNouns: ReadonlySet<string> = new Set(['host']);

export function roleAllows(role: BuiltInRole, permission: Permission): boolean {
  const [noun = '', verb = ''] = permission.split('.');
  if (role === 'administrator' || verb === 'read') return true;
  return role === 'operator' && !hostNouns.has(noun);
}
