// `warm-pool.show`.
import type { HandlerOf } from '../handler.ts';
import { viewOf } from './view.ts';

export const handler: HandlerOf<'warm-pool.show'> = async ({ warmPool }, { services }) =>
  viewOf(services.warmPools.get(warmPool), services);
