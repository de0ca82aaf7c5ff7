// `task.cancel`: ends a running task and undoes what it did.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'task.cancel'> = ({ task }, { services }) => services.tasks.cancel(task);
