// What the tasks on one warm pool share. Taking waits for nobody; making and ending what is ready go one after the other.
import type { WarmPool } from '../../contract/warm-pool.ts';
import type { Services } from '../services.ts';
import { viewOf } from './view.ts';

/** State of a task on one pool. */
export interface OnWarmPool {
  name: string;
}

export const onWarmPool = {
  target: ({ name }: OnWarmPool) => name,
  queue: ({ name }: OnWarmPool): string | null => `pool/${name}`,
};

export const outputView = ({ name }: OnWarmPool, services: Services): Promise<WarmPool> => viewOf(services.warmPools.get(name), services);
