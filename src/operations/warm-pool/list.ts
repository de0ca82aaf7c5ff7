// `warm-pool.list`.
import type { HandlerOf } from '../handler.ts';
import { unreadableView, viewOf } from './view.ts';

export const handler: HandlerOf<'warm-pool.list'> = async (_input, { services }) => [
  ...(await Promise.all(services.warmPools.all().map((warmPool) => viewOf(warmPool, services)))),
  ...services.warmPools.unreadable().map(unreadableView),
];
