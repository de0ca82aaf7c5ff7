// `project.assign`.
import type { HandlerOf } from '../handler.ts';
import { moveObject } from './move.ts';
import { viewOf } from './one.ts';

export const handler: HandlerOf<'project.assign'> = async ({ project, ...what }, { services, commit }) => {
  const record = services.access.projects.get(project);
  await moveObject(what, { project: record.id }, services, commit);
  return viewOf(record, services);
};
