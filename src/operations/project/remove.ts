// `project.remove`: one that owns nothing, with the roles that were assigned on it.
import { VivError } from '../../contract/errors.ts';
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'project.remove'> = async ({ project: name }, { services: { access, vms, networks }, commit }) => {
  const { id } = access.projects.get(name);
  const owned = [
    ...vms.all().flatMap(({ record }) => (record.project === id ? [record.name] : [])),
    ...networks.records.all().flatMap((record) => (record.project === id ? [record.name] : [])),
    ...access.projects.imagesOf(id).map((digest) => digest.slice(0, 12)),
  ];
  if (owned.length > 0)
    throw new VivError('in_use', `the project ${name} owns ${owned.length} objects (${owned[0]}); remove them, or: viv project release`);
  await access.projects.remove(name, commit, ...access.users.withoutScope({ kind: 'project', id }));
  return { name };
};
