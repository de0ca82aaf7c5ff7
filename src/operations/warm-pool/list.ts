// `pool.list`.
import type { HandlerOf } from '../../task/handler.ts';
import { viewOf } from './view.ts';

export const handler: HandlerOf<'pool.list'> = (_input, { services }) =>
  Promise.all(services.machines.pools.all().map((pool) => viewOf(pool, services)));
