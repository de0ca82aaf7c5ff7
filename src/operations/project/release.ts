// `project.release`.
import type { HandlerOf } from '../handler.ts';
import { moveObject } from './move.ts';
import { viewOf } from './one.ts';

export const handler: HandlerOf<'project.release'> = async ({ project, ...what }, { services, commit }) => {
  const record = services.access.projects.get(project);
  await moveObject(what, { project: null, from: record.id }, services, commit);
  return viewOf(record, services);
};
