// Where a role counts, as people write it (`project:web`) and as it is kept (by ids).
import type { Identity } from '../../access/identity.ts';
import type { Scope } from '../../access/user/record.ts';
import { findImage, findNetwork, findProject, findVm, type Known } from './objects.ts';

/** @throws not_found, ambiguous, as for what does not exist where the identity may not see it */
export async function scopeFrom(text: string, identity: Identity, known: Known): Promise<Scope> {
  if (text === 'host') return { kind: 'host' };
  const at = text.indexOf(':');
  const [kind, name] = [text.slice(0, at), text.slice(at + 1)];
  if (kind === 'project') return { kind, id: findProject(name, identity, known).id };
  if (kind === 'vm') return { kind, id: findVm(name, identity, known).id };
  if (kind === 'network') return { kind, id: findNetwork(name, identity, known).name };
  return { kind: 'image', id: (await findImage(name, identity, known)).digest };
}

/** With the name of today; null where what it names is gone. */
export function scopeText(scope: Scope, { vms, networks, access }: Known): string | null {
  switch (scope.kind) {
    case 'host':
      return 'host';
    case 'project': {
      const project = access.projects.byId(scope.id);
      return project ? `project:${project.name}` : null;
    }
    case 'vm': {
      const vm = vms.byId(scope.id);
      return vm ? `vm:${vm.name}` : null;
    }
    case 'network':
      return networks.records.byName(scope.id) ? `network:${scope.id}` : null;
    case 'image':
      return `image:${scope.id.slice(0, 12)}`;
  }
}
