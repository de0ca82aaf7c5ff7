// What the tasks on one pool share. Taking waits for nobody; making and ending what is ready go one after the other.
import type { Pool } from '../../contract/warm-pool.ts';
import type { Services } from '../services.ts';
import { viewOf } from './view.ts';

/** State of a task on one pool. */
export interface OnPool {
  name: string;
}

export const onPool = {
  target: ({ name }: OnPool) => name,
  queue: ({ name }: OnPool): string | null => `pool/${name}`,
};

export const outputView = ({ name }: OnPool, services: Services): Promise<Pool> => viewOf(services.machines.pools.get(name), services);
