// Sets of permissions. A permission is `noun.verb`; a pattern is one, or `noun.*`, or `*`.
import type { Permission } from '../../contract/operation.ts';
import { type BuiltInRole, roleAllows } from '../../contract/permission.ts';

export interface PermissionSet {
  has(permission: string): boolean;
}

export const builtInSet = (role: BuiltInRole): PermissionSet => remembering((permission) => roleAllows(role, permission as Permission));

export function patternSet(patterns: readonly string[]): PermissionSet {
  const exact = new Set(patterns);
  return remembering(
    (permission) => exact.has(permission) || exact.has('*') || exact.has(`${permission.slice(0, permission.indexOf('.'))}.*`),
  );
}

/** There are only some dozens of permissions; each is decided once. */
function remembering(decide: (permission: string) => boolean): PermissionSet {
  const decided = new Map<string, boolean>();
  return {
    has(permission) {
      let answer = decided.get(permission);
      if (answer === undefined) {
        answer = decide(permission);
        decided.set(permission, answer);
      }
      return answer;
    },
  };
}
