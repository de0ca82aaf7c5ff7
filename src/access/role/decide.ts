// Whether grants allow something. Pure, and fast enough to be asked for every object of a list.
import type { ObjectKind } from '../../contract/role.ts';
import type { Scope } from '../user/record.ts';
import type { PermissionSet } from './permission.ts';

/** What a request acts on, or a project itself. */
export interface Target {
  readonly kind: ObjectKind | 'project';
  readonly id: string;
  /** Ids of the projects that own it; none: it belongs to the host. */
  readonly projects: readonly string[];
}

/** A grant with its role resolved. */
export interface HeldGrant {
  readonly role: string;
  readonly scope: Scope;
  readonly permissions: PermissionSet;
}

/** What a token is limited to; null: nothing but its owner's rights. */
export interface TokenLimit {
  readonly permissions: PermissionSet | null;
  readonly scopes: readonly Scope[] | null;
}

/**
 * The first grant that allows the permission; undefined: none does.
 * @param target null: the host as a whole
 */
export function allowedThrough(
  grants: readonly HeldGrant[],
  limit: TokenLimit | null,
  permission: string,
  target: Target | null,
): HeldGrant | undefined {
  const shared = isShared(permission, target);
  if (limit?.permissions && !limit.permissions.has(permission)) return undefined;
  if (limit?.scopes && !shared && !limit.scopes.some((scope) => covers(scope, target))) return undefined;
  return grants.find((grant) => (shared || covers(grant.scope, target)) && grant.permissions.has(permission));
}

/** The host's own images and networks are there for everyone with a role anywhere to see and use; to keep one apart, it is moved into a project. */
function isShared(permission: string, target: Target | null): boolean {
  if (target === null || target.projects.length > 0 || (target.kind !== 'image' && target.kind !== 'network')) return false;
  return permission.endsWith('.read') || permission.endsWith('.use');
}

function covers(scope: Scope, target: Target | null): boolean {
  if (scope.kind === 'host') return true;
  if (target === null) return false;
  if (scope.kind === 'project') return target.kind === 'project' ? target.id === scope.id : target.projects.includes(scope.id);
  return scope.kind === target.kind && scope.id === target.id;
}
