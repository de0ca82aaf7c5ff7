// `task.list`: tasks, newest first.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'task.list'> = ({ state, limit }, { services }) =>
  services.tasks.list({ limit, ...(state === undefined ? {} : { state }) });
