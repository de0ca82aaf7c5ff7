// `project.set`: other quotas. What exists above them stays; nothing is added until there is room.
import type { HandlerOf } from '../handler.ts';
import { quotasFrom, viewOf } from './one.ts';

export const handler: HandlerOf<'project.set'> = async ({ project, ...limits }, { services, commit }) =>
  viewOf(await services.access.projects.setQuotas(project, quotasFrom(limits), commit), services);
