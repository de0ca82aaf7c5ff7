// `task.show`: one task.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'task.show'> = ({ task }, { services }) => services.tasks.find(task);
