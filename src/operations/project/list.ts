// `project.list`.
import type { HandlerOf } from '../handler.ts';
import { viewOf } from './one.ts';

export const handler: HandlerOf<'project.list'> = async (_input, { services }) =>
  services.access.projects.all().map((record) => viewOf(record, services));
