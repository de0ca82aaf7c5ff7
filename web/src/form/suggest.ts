// Names to choose from for a field: what there is of the noun that the field means.
import { useRead } from '../api/query.ts';

/** Null: any text. */
export function useSuggestions(field: string, operation: string): readonly string[] | null {
  const kind = kindOf(field, operation);
  const vms = useRead('vm.list', {}, { enabled: kind === 'vm' });
  const networks = useRead('network.list', {}, { enabled: kind === 'network' });
  const images = useRead('image.list', {}, { enabled: kind === 'image' });
  const catalog = useRead('image.catalog', {}, { enabled: kind === 'catalog' });
  const groups = useRead('security-group.list', {}, { enabled: kind === 'group' });
  const roles = useRead('role.list', {}, { enabled: kind === 'role' || kind === 'permission' });
  const projects = useRead('project.list', {}, { enabled: kind === 'project' });
  const users = useRead('user.list', {}, { enabled: kind === 'user' });
  switch (kind) {
    case 'vm':
      return vms.data?.map(({ name }) => name) ?? [];
    case 'network':
      return [...new Set(['default', ...(networks.data?.map(({ name }) => name) ?? [])])];
    case 'image':
      return images.data?.flatMap(({ names }) => names) ?? [];
    case 'catalog':
      return catalog.data?.map(({ name }) => name) ?? [];
    case 'group':
      return groups.data?.map(({ name }) => name) ?? [];
    case 'role':
      return roles.data?.map(({ name }) => name) ?? [];
    case 'permission':
      return roles.data?.find(({ name }) => name === 'administrator')?.permissions ?? [];
    case 'project':
      return projects.data?.map(({ name }) => name) ?? [];
    case 'user':
      return users.data?.map(({ name }) => name) ?? [];
    case 'scope':
      return ['host'];
    default:
      return null;
  }
}

function kindOf(field: string, operation: string): string | null {
  const [noun, verb] = operation.split('.');
  if (verb === 'create' && field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`) === noun) return null; // a new name
  if (operation === 'image.pull' && field === 'image') return 'catalog';
  if (operation === 'user.create' && field === 'user') return null;
  if (field === 'on') return 'scope';
  const kinds: Record<string, string> = {
    ...{ vm: 'vm', network: 'network', networks: 'network', image: 'image', base: 'image', cdroms: 'image' },
    ...{ securityGroup: 'group', securityGroups: 'group', role: 'role', permission: 'permission', project: 'project', user: 'user' },
  };
  return kinds[field] ?? null;
}
