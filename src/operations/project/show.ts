// `project.show`.
import type { HandlerOf } from '../handler.ts';
import { viewOf } from './one.ts';

export const handler: HandlerOf<'project.show'> = async ({ project }, { services }) =>
  viewOf(services.access.projects.get(project), services);
