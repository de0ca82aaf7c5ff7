// What the operations on projects share.
import { type ProjectRecord, projectView } from '../../access/project/projects.ts';
import type { Project, Quotas } from '../../contract/project.ts';
import { quotaNames } from '../../contract/project.ts';
import { usageOf } from '../access/usage.ts';
import type { Services } from '../services.ts';

/** Id of the project with this name; null: none was named. @throws not_found */
export const projectId = (name: string | undefined, { access }: Services): string | null =>
  name === undefined ? null : access.projects.get(name).id;

export const viewOf = (record: ProjectRecord, services: Services): Project => projectView(record, usageOf(record.id, services));

/** The quotas that a request names. */
export const quotasFrom = (given: Partial<Record<keyof Quotas, number | null | undefined>>): Partial<Quotas> =>
  Object.fromEntries(quotaNames.flatMap((name) => (given[name] === undefined ? [] : [[name, given[name]]])));
