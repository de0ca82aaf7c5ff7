// What the tasks on one warm pool share. Taking does not wait for other tasks; creating and ending members do, one after the other.
import type { WarmPool } from '../../contract/warm-pool.ts';
import type { Services } from '../services.ts';
import { viewOf } from './view.ts';

/** State of a task on one pool. */
export interface OnWarmPool {
  name: string;
}

export const onWarmPool = {
  target: ({ name }: OnWarmPool) => name,
  queue: ({ name }: OnWarmPool): string | null => `warm-pool/${name}`,
};

export const outputView = ({ name }: OnWarmPool, services: Services): Promise<WarmPool> => viewOf(services.warmPools.get(name), services);
