// `warm-pool.list`.
import type { HandlerOf } from '../handler.ts';
import { viewOf } from './view.ts';

export const handler: HandlerOf<'warm-pool.list'> = (_input, { services }) =>
  Promise.all(services.warmPools.all().map((warmPool) => viewOf(warmPool, services)));
