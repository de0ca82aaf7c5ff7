// Objects as access sees them: who owns a VM, a network or an image, and what a name means to somebody who may not see everything. What one may not see is
// looked up as if it did not exist, so that the answer is the very one for what does not.
import type { Identity } from '../../access/identity.ts';
import type { ProjectRecord } from '../../access/project/projects.ts';
import type { Target } from '../../access/role/decide.ts';
import type { StoredImage } from '../../image/image.ts';
import type { NetworkRecord } from '../../network/record/network.ts';
import type { Vm } from '../../vm/vm.ts';
import type { Services } from '../services.ts';

export type Known = Pick<Services, 'vms' | 'images' | 'networks' | 'snapshots' | 'warmPools' | 'access' | 'tasks'>;

const none: readonly string[] = [];
const one = (project: string | null): readonly string[] => (project === null ? none : [project]);

export const vmTarget = ({ id, record }: Vm): Target => ({ kind: 'vm', id, projects: one(record.project) });
export const networkTarget = ({ name, project }: Pick<NetworkRecord, 'name' | 'project'>): Target => ({
  kind: 'network',
  id: name,
  projects: one(project),
});
export const projectTarget = (id: string): Target => ({ kind: 'project', id, projects: none });

export const imageTarget = ({ digest }: StoredImage, { access }: Known): Target => ({
  kind: 'image',
  id: digest,
  projects: access.projects.ownersOfImage(digest),
});

/** @throws not_found, ambiguous, as for what does not exist */
export function findVm(ref: string, identity: Identity, { vms }: Known): Vm {
  if (identity.isOwner) return vms.findAny(ref);
  const sees = identity.tester('vm.read');
  return vms.findAny(ref, (vm) => sees(vmTarget(vm)));
}

/** @throws not_found */
export function findNetwork(name: string, identity: Identity, { networks }: Known): NetworkRecord {
  const { records } = networks;
  const record = records.get(name);
  if (!identity.may('network.read', networkTarget(record))) throw records.missing(name);
  return record;
}

/** @throws not_found, ambiguous */
export function findImage(ref: string, identity: Identity, known: Known): Promise<StoredImage> {
  if (identity.isOwner) return known.images.find(ref);
  const sees = identity.tester('image.read');
  return known.images.find(ref, (image) => sees(imageTarget(image, known)));
}

/** @throws not_found */
export function findProject(name: string, identity: Identity, { access: { projects } }: Known): ProjectRecord {
  const record = projects.get(name);
  if (!identity.may('project.read', projectTarget(record.id))) throw projects.missing(name);
  return record;
}

/** The project of this name, or of its only one where none is given and it has no right beyond it. @throws not_found, invalid */
export function projectFor(name: string | undefined, permission: string, identity: Identity, { access }: Known): string | undefined {
  const { projects } = access;
  const sees = identity.tester('project.read');
  const may = identity.tester(permission);
  if (name !== undefined) {
    const found = projects.get(name);
    if (!sees(projectTarget(found.id)) && !may(projectTarget(found.id))) throw projects.missing(name);
    return name;
  }
  if (identity.isOwner || may(null)) return undefined;
  const [only, other] = projects.all().filter(({ id }) => may(projectTarget(id)));
  return other === undefined ? only?.name : undefined;
}
