// `pool.show`.
import type { HandlerOf } from '../../task/handler.ts';
import { viewOf } from './view.ts';

export const handler: HandlerOf<'pool.show'> = async ({ pool }, { services }) => viewOf(services.machines.pools.get(pool), services);
