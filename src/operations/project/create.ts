// `project.create`.
import { type Quotas, quotaNames } from '../../contract/project.ts';
import type { HandlerOf } from '../handler.ts';
import { quotasFrom, viewOf } from './one.ts';

const unlimited = Object.fromEntries(quotaNames.map((name) => [name, null])) as unknown as Quotas;

export const handler: HandlerOf<'project.create'> = async ({ project: name, summary, ...limits }, { services, commit }) => {
  const quotas = { ...unlimited, ...quotasFrom(limits) };
  return viewOf(await services.access.projects.create({ name, summary, quotas }, commit, Date.now()), services);
};
