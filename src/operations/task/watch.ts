// `task.watch`: the tasks that run, then each task after every change.
import type { HandlerOf } from '../handler.ts';

export const handler: HandlerOf<'task.watch'> = (_input, { services, signal }) => services.tasks.watch(signal);
