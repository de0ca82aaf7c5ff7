// Which permissions the built-in roles have. A rule over nouns and verbs, so that a new operation belongs to the right roles by the permission it declares.
import type { Permission } from './operation.ts';

export const builtInRoles = ['viewer', 'operator', 'administrator', 'auditor'] as const;
export type BuiltInRole = (typeof builtInRoles)[number];

/** Who may do what: an operator has nothing to do with it, a viewer does not see it. */
const accessNouns: ReadonlySet<string> = new Set(['user', 'role', 'audit']);
/** Nouns that belong to the whole host: who is not an administrator only reads them. An alert may run a command as the daemon's user. */
const hostNouns: ReadonlySet<string> = new Set(['host', 'project', 'listener', 'alert']);

export function roleAllows(role: BuiltInRole, permission: Permission): boolean {
  const [noun = '', verb = ''] = permission.split('.');
  if (role === 'administrator') return true;
  if (role === 'auditor') return verb === 'read';
  if (accessNouns.has(noun)) return false;
  return verb === 'read' || (role === 'operator' && !hostNouns.has(noun));
}
