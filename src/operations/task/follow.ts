// `task.follow`: one task, at once and after each change until it has ended.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'task.follow'> = ({ task }, { services, signal }) => services.tasks.follow(task, signal);
