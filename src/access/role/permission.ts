// Sets of permissions. A permission is `noun.verb`; a pattern is one, or `noun.*`, or `*`. The built-in roles are rules over nouns and verbs, so that a new
// operation belongs to the right ones by the permission it declares.
import type { BuiltInRole } from '../../contract/role.ts';

export interface PermissionSet {
  has(permission: string): boolean;
}

/** What concerns who may do what. An operator has none of it, a viewer sees none of it. */
const accessNouns: ReadonlySet<string> = new Set(['user', 'role', 'audit']);
/** What changes the host for everybody. */
const hostNouns: ReadonlySet<string> = new Set(['host', 'project', 'listener', 'cluster', 'storage', 'alert']);

const rules: Readonly<Record<BuiltInRole, (noun: string, verb: string) => boolean>> = {
  administrator: () => true,
  viewer: (noun, verb) => verb === 'read' && !accessNouns.has(noun),
  operator: (noun, verb) => !accessNouns.has(noun) && (verb === 'read' || verb === 'use' || !hostNouns.has(noun)),
  auditor: (_noun, verb) => verb === 'read',
};

export const builtInSet = (role: BuiltInRole): PermissionSet => remembering((permission) => rules[role](...parts(permission)));

export function patternSet(patterns: readonly string[]): PermissionSet {
  const exact = new Set(patterns);
  return remembering((permission) => exact.has(permission) || exact.has('*') || exact.has(`${parts(permission)[0]}.*`));
}

function parts(permission: string): [noun: string, verb: string] {
  const dot = permission.indexOf('.');
  return [permission.slice(0, dot), permission.slice(dot + 1)];
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
